// Health check of a worker's container: does a process (default: 1) hold an open connection to a port (default: 7233,
// Temporal's)? A worker that cannot reach its server, or is not there, does not. Linux only, needs no rights.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const [pid = '1', port = '7233'] = process.argv.slice(2);
const ESTABLISHED = '01';

/** The inodes of the sockets that the process holds. Other containers may share its network, so all sockets would not do. */
const own = new Set(
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // closed meanwhile
    }
  }),
);

const connected = ['tcp', 'tcp6'].some((table) => {
  try {
    const rows = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1);
    return rows.some((row) => {
      const [, , remote = '', state, , , , , , inode = ''] = row.trim().split(/\s+/);
      return (
        state === ESTABLISHED && own.has(inode) && Number.parseInt(remote.split(':')[1], 16) === Number(port)
      );
    });
  } catch {
    return false; // no IPv6 here
  }
});

process.exitCode = connected ? 0 : 1;
