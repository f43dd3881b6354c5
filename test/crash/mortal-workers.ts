import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { WorkerPlace } from '../support/stand.js';
import type { Call, Fault, News, Order, WorkerSpec } from './fault.js';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const MAIN = fileURLToPath(new URL('./mortal-worker.ts', import.meta.url));

/** One worker that works, and one that stands by for the day when it is killed. */
export class MortalWorkers {
  readonly #place: WorkerPlace;
  #working: ChildProcess;
  #standby: Promise<ChildProcess>;
  #closed = false;
  #calls: Call[] = [];
  #struck: (() => void) | null = null;
  #trouble: string | null = null;

  private constructor(place: WorkerPlace, working: ChildProcess) {
    this.#place = place;
    this.#working = working;
    this.#standby = this.#started();
  }

  static async start(place: WorkerPlace): Promise<MortalWorkers> {
    const workers = new MortalWorkers(place, await started(place));
    workers.#putToWork(workers.#working);
    return workers;
  }

  /** The calls since the last time that this was asked, in the order in which they ended. */
  takeCalls(): Call[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  /** Before a run. @returns what resolves when the fault has begun. */
  arm(fault: Fault | null): Promise<void> {
    const struck = new Promise<void>((resolve) => (this.#struck = resolve));
    this.#tell({ order: 'arm', fault });
    return struck;
  }

  /** Ends what stands still. @throws Error if a worker ended that was not to be killed */
  async release(): Promise<void> {
    const working = this.#working;
    const released = new Promise<void>((resolve, reject) => {
      const hear = (message: News): void => {
        if (message.news !== 'released') return;
        working.off('message', hear);
        resolve();
      };
      working.on('message', hear);
      working.once('exit', () => reject(new Error('the worker ended')));
    });
    this.#tell({ order: 'release' });
    await released;
    this.#struck = null;
    if (this.#trouble !== null) throw new Error(this.#trouble);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const all = [this.#working, await this.#standby.catch(() => null)];
    await Promise.all(all.map(killed));
  }

  #tell(order: Order): void {
    this.#working.send(order);
  }

  #started(): Promise<ChildProcess> {
    const standby = started(this.#place);
    standby.catch(() => undefined); // told when it is needed
    return standby;
  }

  #putToWork(child: ChildProcess): void {
    this.#working = child;
    child.on('message', (message: News) => {
      if (message.news === 'call') this.#calls.push(message.call);
      if (message.news === 'struck') this.#struck?.();
    });
    child.once('exit', (code, signal) => {
      if (this.#closed) return;
      if (signal === 'SIGKILL') this.#struck?.();
      else this.#trouble = `a worker ended with ${code ?? signal}`;
      void this.#succeed();
    });
    child.send({ order: 'work' } satisfies Order);
  }

  async #succeed(): Promise<void> {
    // A busy machine may have kept it from connecting: then another is started.
    const next = await this.#standby.catch(() => started(this.#place));
    if (this.#closed) {
      await killed(next);
      return;
    }
    this.#putToWork(next);
    this.#standby = this.#started();
  }
}

/** A worker that is ready to work. */
async function started({
  configFile,
  caFile,
  temporalAddress,
  ...place
}: WorkerPlace): Promise<ChildProcess> {
  const { taskQueue, workflowBundle } = place;
  const spec: WorkerSpec = { configFile, address: temporalAddress, taskQueue, workflowBundle };
  const child = spawn(process.execPath, ['--import', TSX, MAIN, JSON.stringify(spec)], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: caFile },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [first] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => [`it ended with ${code}`]),
  ])) as [News | string];
  if (typeof first === 'string') throw new Error(`A worker was not ready: ${first}.`);
  return child;
}

async function killed(child: ChildProcess | null): Promise<void> {
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
