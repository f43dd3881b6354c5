import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { HubferryError } from '../registry/errors.js';

/** A process that can be told from a later one that got the same pid. */
export interface ProcessId {
  readonly pid: number;
  /** When it was born, as the system tells it; null where the system does not. */
  readonly born: string | null;
}

const isLinux = process.platform === 'linux';

/** Pause between two looks at a process that is to end, ms. */
const LOOK_PAUSE = 20;

/** A killed process is gone at once, unless it waits for a slow disk. */
const KILL_WAIT = 10_000;

/** A living process by its pid, or null. A zombie, which only waits to be collected, does not live. */
export function identify(pid: number): ProcessId | null {
  if (!answersSignal(pid)) return null;
  if (isLinux) return identifyByProc(pid);
  try {
    const output = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      // Whoever asks must read the same time of birth.
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    }).trim();
    return output === '' || output.startsWith('Z') ? null : { pid, born: output.replace(/^\S+\s+/, '') };
  } catch {
    return { pid, born: null };
  }
}

/** Whether this very process still lives. */
export function isAlive(known: ProcessId): boolean {
  const now = identify(known.pid);
  return now !== null && (now.born === null || known.born === null || now.born === known.born);
}

/**
 * Ends a process: SIGTERM, after `grace` ms SIGKILL; returns when it is gone.
 *
 * @param killWait how long a killed process may take to be gone, ms
 * @throws HubferryError EMBEDDED_FAILED if it lives on: it is somebody else's, or hangs in the kernel
 */
export async function endProcess(known: ProcessId, grace: number, killWait = KILL_WAIT): Promise<void> {
  send(known, 'SIGTERM');
  if (await isGoneWithin(known, grace)) return;
  send(known, 'SIGKILL');
  if (await isGoneWithin(known, killWait)) return;
  throw new HubferryError(
    'EMBEDDED_FAILED',
    `Process ${known.pid} cannot be ended.`,
    'See whose it is (`ps`), end it, then run the command again.',
  );
}

async function isGoneWithin(known: ProcessId, time: number): Promise<boolean> {
  const deadline = Date.now() + time;
  while (isAlive(known)) {
    if (Date.now() > deadline) return false;
    await pause(LOOK_PAUSE);
  }
  return true;
}

/** Sends a signal if this very process still lives. */
export function send(known: ProcessId, signal: NodeJS.Signals): void {
  if (!isAlive(known)) return;
  try {
    process.kill(known.pid, signal);
  } catch {
    // It ended in between, or belongs to somebody else.
  }
}

/** Processes whose command line has these two arguments next to each other. */
export function findByArguments(first: string, second: string): ProcessId[] {
  // `ps` puts blanks between arguments, so that one with a blank in it looks like two.
  const wanted = `\0${first}\0${isLinux ? second : second.replaceAll(' ', '\0')}\0`;
  return commandLines()
    .filter(({ args }) => args.includes(wanted))
    .flatMap(({ pid }) => identify(pid) ?? []);
}

/** Every command line, its arguments each between two NULs. */
function commandLines(): { readonly pid: number; readonly args: string }[] {
  if (isLinux) {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const text = readProc(`/proc/${name}/cmdline`);
        return text === null ? [] : [{ pid: Number(name), args: `\0${text}` }];
      });
  }
  const output = execFileSync('ps', ['-axww', '-o', 'pid=,args='], { encoding: 'utf8' });
  return output.split('\n').flatMap((text) => {
    const parts = /^\s*(\d+)\s+(.*)$/.exec(text);
    return parts ? [{ pid: Number(parts[1]), args: `\0${(parts[2] ?? '').replaceAll(' ', '\0')}\0` }] : [];
  });
}

function answersSignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function identifyByProc(pid: number): ProcessId | null {
  const text = readProc(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name in parentheses may hold anything; behind it field 3 is the state and field 22 the start, in clock ticks
  // since the boot, which the boot's id makes unique.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  return { pid, born: `${(readProc('/proc/sys/kernel/random/boot_id') ?? '').trim()}/${fields[19]}` };
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
