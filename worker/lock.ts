import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Home } from './home.js';
import { isAlive, type ProcessId } from './processes.js';
import { propertyOf, textOf } from './unknown.js';

/**
 * What `server.json` says of the supervisor of a home folder.
 *
 * - `starting`: server or worker are not up yet: wait.
 * - `ready`: use it.
 * - `ending`: about to be idle no more or to be gone: wait.
 * - `stopped`: nothing runs, but runs of `config` were open at the end and go on at the next start.
 *
 * Whatever the state, a lock whose process is dead holds nothing.
 */
export interface Lock {
  readonly state: 'starting' | 'ready' | 'ending' | 'stopped';
  /** Of this one start of a supervisor. */
  readonly id: string;
  readonly supervisor: ProcessId;
  readonly version: string;
  readonly config: { readonly path: string; readonly hash: string };
  readonly started: string;
  /** Of the server, once it was up; kept over restarts, so that clients find it again. */
  readonly port: number | null;
  /** Of Temporal's web UI, where the server serves it. */
  readonly uiPort: number | null;
  /** Children of the supervisor, which may have outlived it. */
  readonly server: ProcessId | null;
  readonly worker: ProcessId | null;
}

/** Reading, judging and replacing a lock takes a few ms; a guard further than this from now, ms, was left by a crash. */
const GUARD_STALE = 5_000;

/** Pause between two tries for the guard, ms. */
const GUARD_PAUSE = 10;

/** The lock as it stands, or null if there is none that can be read. */
export function readLock(home: Home): Lock | null {
  try {
    return parseLock(JSON.parse(readFileSync(home.lock, 'utf8')));
  } catch {
    return null;
  }
}

/** A lock with a living supervisor behind it. */
export type HeldLock = Lock & { readonly state: Exclude<Lock['state'], 'stopped'> };

/** Whether a supervisor lives behind a lock. A pid that another process got does not count. */
export function isHeld(lock: Lock | null): lock is HeldLock {
  return lock !== null && lock.state !== 'stopped' && isAlive(lock.supervisor);
}

export type Taken =
  | { readonly taken: true; readonly lock: Lock; readonly former: Lock | null }
  | { readonly taken: false };

/** Takes the lock of a home folder for a supervisor, unless a living one has it. */
export async function takeLock(
  home: Home,
  facts: Pick<Lock, 'supervisor' | 'version' | 'config'>,
): Promise<Taken> {
  return await underGuard(home, () => {
    const former = readLock(home);
    if (isHeld(former)) return { taken: false };
    const lock: Lock = {
      ...facts,
      state: 'starting',
      id: randomUUID(),
      started: new Date().toISOString(),
      port: former?.port ?? null,
      uiPort: null,
      server: null,
      worker: null,
    };
    write(home, lock);
    return { taken: true, lock, former };
  });
}

/** Whether a lock is still the one that was taken; a supervisor that lost it must end without touching it. */
export function isStill(home: Home, lock: Lock): boolean {
  return readLock(home)?.id === lock.id;
}

/** Writes our own lock anew, unless we lost it. @throws the system's error, on a full disk for example */
export function rewriteLock(home: Home, lock: Lock): void {
  if (isStill(home, lock)) write(home, lock);
}

/** Leaves what comes after us: another lock, or none. */
export async function releaseLock(home: Home, lock: Lock, rest: Lock | null): Promise<void> {
  await underGuard(home, () => {
    if (!isStill(home, lock)) return;
    if (rest === null) rmSync(home.lock, { force: true });
    else write(home, rest);
  });
}

/** Complete or not at all: readers never see half a file. */
function write(home: Home, lock: Lock): void {
  const draft = `${home.lock}.${process.pid}`;
  try {
    writeFileSync(draft, `${JSON.stringify(lock, null, 2)}\n`, { mode: 0o600 });
    renameSync(draft, home.lock);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/**
 * Runs a step that looks at the lock and replaces it while nobody else does. The step must not wait for anything: two
 * supervisors that both found the same dead lock would otherwise each remove the other's new one.
 */
async function underGuard<T>(home: Home, step: () => T): Promise<T> {
  const guard = `${home.lock}.guard`;
  while (!createNew(guard)) {
    const made = statSync(guard, { throwIfNoEntry: false })?.mtimeMs;
    // A clock that was set back leaves a guard from the future, which would never grow old.
    if (made !== undefined && Math.abs(Date.now() - made) > GUARD_STALE) rmSync(guard, { force: true });
    await pause(GUARD_PAUSE);
  }
  try {
    return step();
  } finally {
    rmSync(guard, { force: true });
  }
}

function createNew(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    return true;
  } catch (error) {
    if (textOf(error, 'code') === 'EEXIST') return false;
    throw error;
  }
}

const STATES = ['starting', 'ready', 'ending', 'stopped'] as const;

/** A file that another version or a hand wrote is read with care: what does not fit is no lock. */
function parseLock(value: unknown): Lock | null {
  const state = STATES.find((name) => name === propertyOf(value, 'state'));
  const supervisor = parseProcess(propertyOf(value, 'supervisor'));
  const id = textOf(value, 'id');
  const version = textOf(value, 'version');
  const path = textOf(propertyOf(value, 'config'), 'path');
  const hash = textOf(propertyOf(value, 'config'), 'hash');
  if (!state || !supervisor || id === undefined || version === undefined) return null;
  if (path === undefined || hash === undefined) return null;
  const port = propertyOf(value, 'port');
  const uiPort = propertyOf(value, 'uiPort');
  return {
    state,
    id,
    supervisor,
    version,
    config: { path, hash },
    started: textOf(value, 'started') ?? '',
    port: typeof port === 'number' ? port : null,
    uiPort: typeof uiPort === 'number' ? uiPort : null,
    server: parseProcess(propertyOf(value, 'server')),
    worker: parseProcess(propertyOf(value, 'worker')),
  };
}

function parseProcess(value: unknown): ProcessId | null {
  const pid = propertyOf(value, 'pid');
  // 0 and negative numbers would signal whole groups of processes.
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 1) return null;
  return { pid, born: textOf(value, 'born') ?? null };
}
