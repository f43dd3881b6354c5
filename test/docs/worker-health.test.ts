import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './pages.js';

const SCRIPT = `${ROOT}docker/worker-health.mjs`;

/** The exit code of the health check for a process and a port. */
async function check(pid: number | undefined, port: number): Promise<number | null> {
  const child = execFile(process.execPath, [SCRIPT, String(pid), String(port)]);
  await once(child, 'exit');
  return child.exitCode;
}

describe.runIf(process.platform === 'linux')('docker/worker-health.mjs', () => {
  let server: Server;
  let connection: Socket;
  let connected: ChildProcess;
  let port: number;

  beforeAll(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
    connected = spawn(process.execPath, ['--eval', `require('net').connect(${port}, '127.0.0.1')`]);
    [connection] = (await once(server, 'connection')) as [Socket];
  });
  afterAll(() => {
    connected.kill('SIGKILL');
    server.close();
  });

  it('is content with a process that is connected', async () => {
    expect(await check(connected.pid, port)).toBe(0);
  });

  it('is not content with another port, or with a connection of somebody else', async () => {
    expect(await check(connected.pid, port === 65_535 ? port - 1 : port + 1)).toBe(1);
    // This process holds the other end only.
    expect(await check(process.pid, port)).toBe(1);
  });

  it('is not content once the connection is gone', async () => {
    const ended = once(connected, 'exit');
    connection.destroy();
    await ended;
    expect(await check(connected.pid, port)).not.toBe(0);
  });
});
