import { closeSync, copyFileSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';

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
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= maxBytes) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path, 0);
}

/** The last line that says something, at most 300 characters. */
export function lastLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').at(-1)?.trim().slice(0, 300) || null;
  } catch {
    return null;
  }
}
