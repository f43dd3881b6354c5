import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type { Stand } from '../../demo/stand.js';
import type { ProcessStrike } from './mix.js';

/** The server asks another worker this soon when one does not answer. */
const QUICK_TAKEOVER = ['--sticky', '0.5'];

/** The processes of a lane, which a mix kills and which come back. */
export class Crew {
  readonly #stand: Stand;
  #workers: ChildProcess[] = [];
  readonly #returning = new Set<Promise<void>>();
  #serverAway = false;
  /** The command that runs now. */
  command: ChildProcess | undefined;

  constructor(stand: Stand) {
    this.#stand = stand;
  }

  /** From now on so many workers run. */
  async workers(count: number): Promise<void> {
    await this.whole();
    for (const child of this.#workers.splice(count)) await gone(child);
    while (this.#workers.length < count) this.#workers.push(await this.#stand.worker(QUICK_TAKEOVER));
  }

  /** Resolves when everybody who was killed is back. */
  async whole(): Promise<void> {
    while (this.#returning.size > 0) await Promise.all(this.#returning);
  }

  /** Strikes at this moment. @returns false where whom it means is not there just now. */
  strike({ what, back }: Pick<ProcessStrike, 'what' | 'back'>): boolean {
    if (what === 'kill worker') return this.#killWorker(back);
    if (what === 'freeze worker') return this.#freezeWorker(back);
    if (what === 'kill server') return this.#killServer(back);
    const struck = [this.command?.kill('SIGKILL') ?? false];
    if (what === 'kill all') {
      struck.push(this.#killServer(back));
      for (let left = this.#workers.length; left > 0; left--) struck.push(this.#killWorker(back));
    }
    return struck.includes(true);
  }

  #killWorker(back: number): boolean {
    const child = this.#workers.shift();
    if (child === undefined) return false;
    this.#return(async () => {
      await gone(child);
      await pause(back);
      this.#workers.push(await this.#stand.worker(QUICK_TAKEOVER));
    });
    child.kill('SIGKILL');
    return true;
  }

  /** It goes on afterwards, and finds that what it was at was given to somebody else. */
  #freezeWorker(back: number): boolean {
    const child = this.#workers.shift();
    if (child === undefined) return false;
    child.kill('SIGSTOP');
    this.#return(async () => {
      await pause(back);
      child.kill('SIGCONT');
      this.#workers.push(child);
    });
    return true;
  }

  #killServer(back: number): boolean {
    if (this.#serverAway) return false;
    this.#serverAway = true;
    this.#stand.temporal.kill();
    this.#return(async () => {
      await pause(back);
      await this.#stand.restartTemporal();
      this.#serverAway = false;
    });
    return true;
  }

  #return(work: () => Promise<void>): void {
    const returning = work().finally(() => this.#returning.delete(returning));
    returning.catch(() => undefined); // told by whole()
    this.#returning.add(returning);
  }
}

/** Kills a process and waits until it is gone. */
async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await exited;
}
