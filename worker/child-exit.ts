import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

/** A grandchild that inherited the channel could keep it open for ever. */
const CHANNEL_DRAIN = 1_000;

/**
 * Resolves with how a child ended, in words, once what it sent before over its IPC channel has arrived: the exit itself
 * may be seen first.
 */
export async function childExit(child: ChildProcess): Promise<string> {
  const how = await new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(error.message); // else only a signal could not be sent
    });
  });
  if (child.connected) {
    const drained = new Promise<void>((resolve) => child.once('disconnect', () => resolve()));
    await Promise.race([drained, pause(CHANNEL_DRAIN, undefined, { ref: false })]);
  }
  return how;
}
