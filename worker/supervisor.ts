import { existsSync } from 'node:fs';
import type { Client, Connection } from '@temporalio/client';
import { HubferryError } from '../registry/errors.js';
import { connectClient } from './connection.js';
import { DEV_NAMESPACE, startDevServer } from './dev-server.js';
import { faultOf } from './fault.js';
import { type Home, homeOf, lastUse, prepareHome } from './home.js';
import { KeptChild, type RunningChild } from './kept-child.js';
import { isStill, type Lock, releaseLock, rewriteLock, takeLock } from './lock.js';
import type { Logger } from './log.js';
import { trimLog } from './log-file.js';
import { describeWork, isIdle, type OpenWork, openWork } from './open-work.js';
import { freePort, isPortFree } from './port.js';
import { endProcess, findByArguments, identify, type ProcessId } from './processes.js';
import type { SupervisorNews, SupervisorSpec } from './supervisor-spec.js';
import { messageOf } from './unknown.js';
import { startWorkerChild } from './worker-child.js';

/** A server that a dead supervisor left behind ends within about a second of SIGTERM. */
const ORPHAN_GRACE = 5_000;

/** Longest pause between two looks at what is open. */
const LONGEST_LOOK = 15_000;

/** How long the server may take to say what is open. */
const ANSWER_TIMEOUT = 5_000;

/**
 * The background process of embedded mode: owns the lock of a home folder, keeps a Temporal server and a worker alive,
 * and ends when it was idle for long enough.
 *
 * `starting` (server, then worker) → `ready` → `ending` → gone. `ending` goes back to `ready` if a command used the
 * server in the very moment. SIGTERM, a lost lock or children that cannot be kept alive lead to `ending` for good.
 * The states are those of the lock file, where commands read them.
 */
export class Supervisor {
  readonly #spec: SupervisorSpec;
  readonly #home: Home;
  readonly #log: Logger;
  readonly #server: KeptChild;
  readonly #worker: KeptChild;
  readonly #ended: Promise<void>;
  #resolveEnded: () => void = () => undefined;
  #lock: Lock | null = null;
  /** Our lock is newer than its file, which could not be written. */
  #unwritten = false;
  /** The lock that tells whose the open runs are: that of our predecessor, until we know that they may be ours. */
  #former: Lock | null = null;
  #owner = false;
  #port = 0;
  #uiPort: number | null = null;
  #temporal: { connection: Connection; client: Client } | null = null;
  #lastBusy = Date.now();
  #looking: NodeJS.Timeout | undefined;
  #final = false;

  constructor(spec: SupervisorSpec, log: Logger) {
    this.#spec = spec;
    this.#home = homeOf(spec.home);
    this.#log = log;
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const onGivenUp = (): void => void this.end('a child cannot be kept alive');
    this.#server = new KeptChild({
      name: 'server',
      log,
      onGivenUp,
      start: () => this.#startServer(),
      onUp: ({ pid }) => void this.#note({ server: identify(pid), port: this.#port, uiPort: this.#uiPort }),
    });
    this.#worker = new KeptChild({
      name: 'worker',
      log,
      onGivenUp,
      start: (signal) => this.#startWorker(signal),
    });
  }

  /** Runs until its end. `tell` is called once, when it is ready or will never be. */
  async run(tell: (news: SupervisorNews) => void): Promise<void> {
    try {
      if (!(await this.#takeLock())) {
        tell({ kind: 'taken' });
        return;
      }
      await this.#endOrphans();
      this.#port = await this.#choosePort();
      await this.#server.start();
      await this.#connect();
      await this.#refuseOthersRuns();
      this.#owner = !this.#final; // told to end meanwhile, we must leave the runs to whom they belong
      await this.#worker.start();
    } catch (error) {
      this.#log.error({ reason: messageOf(error) }, 'start failed');
      if (this.#final) await this.#ended;
      else await this.#close();
      tell({ kind: 'failed', ...faultOf(error, 'EMBEDDED_FAILED') });
      return;
    }
    if (!this.#final) {
      this.#note({ state: 'ready' });
      this.#log.info({ port: this.#port, config: this.#spec.config.path }, 'ready');
      tell({ kind: 'ready' });
      this.#lookLater();
    }
    await this.#ended;
  }

  /** Ends worker and server, whatever is open. */
  async end(reason: string): Promise<void> {
    if (this.#final) return;
    this.#final = true;
    clearTimeout(this.#looking);
    this.#log.info({ reason }, 'ending');
    this.#note({ state: 'ending' });
    try {
      await this.#close();
    } finally {
      this.#resolveEnded();
    }
  }

  /** Ends if nothing is open. `idle`: only if no command used the server for so long, ms. */
  async endIfIdle(idle = 0): Promise<void> {
    if (this.#final || this.#lock?.state !== 'ready') return;
    const used = lastUse(this.#home);
    if (Date.now() - Math.max(used, this.#lastBusy) < idle) return;
    // Commands note their use first and read the state afterwards; here it is the other way round. So either they see
    // that we end and wait, or we see that they came and stay. If they cannot see it, we stay.
    const noted = this.#note({ state: 'ending' });
    try {
      const work = noted ? await this.#work() : null;
      if (work !== null && isIdle(work) && lastUse(this.#home) === used) await this.end('idle');
    } finally {
      if (!this.#final) this.#note({ state: 'ready' });
    }
  }

  /** False if a living supervisor has it. */
  async #takeLock(): Promise<boolean> {
    prepareHome(this.#home);
    const supervisor: ProcessId = identify(process.pid) ?? { pid: process.pid, born: null };
    const { version, config } = this.#spec;
    const taking = await takeLock(this.#home, { supervisor, version, config });
    if (!taking.taken) return false;
    this.#lock = taking.lock;
    this.#former = taking.former;
    return true;
  }

  async #startServer(): Promise<RunningChild> {
    this.#mustHoldLock();
    const server = await startDevServer({
      binary: this.#spec.binary,
      dbFile: this.#home.database,
      logFile: this.#home.serverLog,
      port: this.#port,
      fastTimers: this.#spec.fastTimers,
      ui: existsSync(this.#home.ui),
    });
    this.#uiPort = server.uiPort;
    const ended = server.exited.then(({ code, signal }) => signal ?? `exit code ${code}`);
    return { pid: server.pid, ended, stop: () => server.stop() };
  }

  async #startWorker(signal: AbortSignal): Promise<RunningChild> {
    this.#mustHoldLock();
    return await startWorkerChild({
      command: [...this.#spec.worker, '--address', this.#address],
      logFile: this.#home.workerLog,
      signal,
      // At once: a start takes seconds, and whoever comes after a crash of ours must find it.
      onSpawn: (pid) => this.#note({ worker: identify(pid) }),
    });
  }

  /** Somebody removed the folder, or took our lock for a dead one: two servers on one file must not be. */
  #mustHoldLock(): void {
    if (this.#lock !== null && isStill(this.#home, this.#lock)) return;
    setImmediate(() => void this.end('the lock file is not ours any more'));
    throw new HubferryError('EMBEDDED_FAILED', `${this.#home.lock} is held by another process.`);
  }

  /** Two servers on one database file start without a word and then fight, so what is left of a crash is ended first. */
  async #endOrphans(): Promise<void> {
    const children = [this.#former?.server, this.#former?.worker].filter(
      (child): child is ProcessId => child !== null && child !== undefined && child.born !== null,
    );
    const servers = findByArguments('--db-filename', this.#home.database);
    await Promise.all([...children, ...servers].map((orphan) => endProcess(orphan, ORPHAN_GRACE)));
  }

  /** The former port if it can be had, so that clients of a server that crashed find the new one. */
  async #choosePort(): Promise<number> {
    const port = this.#former?.port;
    return port && (await isPortFree(port)) ? port : await freePort();
  }

  /** Open runs of another configuration would meet a worker that does not know their hubs, and fail. */
  async #refuseOthersRuns(): Promise<void> {
    const { config } = this.#spec;
    const former = this.#former;
    if (former === null || former.config.path === config.path || former.config.hash === config.hash) return;
    if (!existsSync(former.config.path)) return; // nobody can go on with them any more
    const work = await this.#work();
    if (work !== null && isIdle(work)) return;
    const held = work === null ? 'does not say whether it holds runs' : `holds ${describeWork(work)}`;
    throw new HubferryError(
      'OTHER_CONFIGURATION',
      `The embedded server in ${this.#home.folder} ${held} of ${former.config.path}.`,
    );
  }

  async #connect(): Promise<void> {
    this.#temporal = await connectClient({ address: this.#address, namespace: DEV_NAMESPACE });
  }

  get #address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** What is open, or null if the server does not say. */
  async #work(): Promise<OpenWork | null> {
    const temporal = this.#temporal;
    if (temporal === null) return null;
    try {
      return await temporal.connection.withDeadline(Date.now() + ANSWER_TIMEOUT, () =>
        openWork(temporal.client),
      );
    } catch (error) {
      this.#log.warn({ reason: messageOf(error) }, 'the server does not say what is open');
      return null;
    }
  }

  #lookLater(): void {
    const time = Math.min(LONGEST_LOOK, Math.max(100, this.#spec.idle / 4));
    this.#looking = setTimeout(() => {
      // A look that fails, on a full disk for example, must not take open runs with it: the next one may do better.
      void this.#look()
        .catch((error: unknown) => this.#log.error({ reason: messageOf(error) }, 'look failed'))
        .finally(() => {
          if (!this.#final) this.#lookLater();
        });
    }, time);
  }

  async #look(): Promise<void> {
    if (this.#lock !== null && !isStill(this.#home, this.#lock)) {
      await this.end('the lock file is not ours any more');
      return;
    }
    if (this.#unwritten) this.#note({});
    const work = await this.#work();
    if (work === null || !isIdle(work)) this.#lastBusy = Date.now();
    else await this.endIfIdle(this.#spec.idle);
    for (const log of [this.#home.serverLog, this.#home.workerLog, this.#home.supervisorLog]) trimLog(log);
  }

  /** Changes our lock; false if the file could not be written, which the next look tries again. */
  #note(change: Partial<Lock>): boolean {
    if (this.#lock === null) return false;
    this.#lock = { ...this.#lock, ...change };
    try {
      rewriteLock(this.#home, this.#lock);
      this.#unwritten = false;
    } catch (error) {
      this.#log.error({ reason: messageOf(error) }, 'the lock file cannot be written');
      this.#unwritten = true;
    }
    return !this.#unwritten;
  }

  /** The worker first: it drains against a living server. */
  async #close(): Promise<void> {
    this.#final = true;
    const work = await this.#work();
    await this.#worker.stop();
    await this.#temporal?.connection.close();
    await this.#server.stop();
    await this.#release(work !== null && isIdle(work));
  }

  /** Open runs go on at the next start, so unless there are none the next start must know whose they are. */
  async #release(idle: boolean): Promise<void> {
    if (this.#lock === null) return;
    const left = this.#owner ? this.#lock : this.#former;
    const rest: Lock | null =
      idle || left === null ? null : { ...left, state: 'stopped', server: null, worker: null };
    await releaseLock(this.#home, this.#lock, rest).catch((error: unknown) =>
      // Our end makes it a dead lock, which holds nothing and still says whose the runs are.
      this.#log.error({ reason: messageOf(error) }, 'the lock file cannot be released'),
    );
  }
}
