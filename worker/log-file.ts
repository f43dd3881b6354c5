import { closeSync, copyFileSync, openSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';

/** A log is emptied when it is longer than this; what it held stays beside it until the next time. */
const MAX_BYTES = 10 * 1024 * 1024;

/** Opens a log to append to it, runs a step with its file descriptor, and closes it. */
export function withLog<T>(path: string, step: (fd: number) => T): T {
  const fd = openSync(path, 'a', 0o600);
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Keeps a log file below twice its limit. It is emptied in place instead of being renamed, because a child holds it
 * open; the child appends, so it goes on at the new end.
 */
export function trimLog(path: string, maxBytes = MAX_BYTES): void {
  if (logSize(path) <= maxBytes) return;
  const former = `${path}.1`;
  try {
    copyFileSync(path, former);
  } catch {
    // Most likely the disk is full: then room counts more than old lines.
    rmSync(former, { force: true });
  }
  truncateSync(path, 0);
}

/** Length of a log in bytes, 0 if there is none yet: where what is said from now on begins. */
export function logSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The last line that says something, at most 300 characters, of what was written behind `from` bytes. */
export function lastLine(path: string, from = 0): string | null {
  try {
    const text = readFileSync(path).subarray(from).toString('utf8');
    return text.trimEnd().split('\n').at(-1)?.trim().slice(0, 300) || null;
  } catch {
    return null;
  }
}
