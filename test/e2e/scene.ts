import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openStorage, type Storage } from '../../azure/storage.js';
import { loadConfig, storageOf } from '../../config/index.js';
import { openStand, type Stand } from '../../demo/stand.js';
import type { HubOptions, SimulatedHub } from '../../simulator/index.js';
import type { RunReport } from '../../workflows/messages.js';
import { writesOf } from '../support/stand.js';
import { type Ended, type Packed, packedPackage, type Started, start } from './packed.js';

/** Waits of milliseconds: everything is on this machine. */
export const FAST =
  '{ chunkLines: 200, settle: 20ms, heartbeat: 5s, slotWait: 50ms, poll: { first: 20ms, max: 200ms }, edgePoll: 50ms, rates: 1000 }';

/** A report as `--json` prints it. */
export interface Result extends Ended {
  readonly report: RunReport;
}

/** The packed CLI, with servers, hubs and one worker of its own. */
export interface Scene {
  readonly stand: Stand;
  readonly packed: Packed;
  readonly storage: Storage;
  hub(name: string): SimulatedHub;
  /** Runs `hubferry` to its end. */
  hubferry(...args: readonly string[]): Promise<Ended>;
  /** The same with `--json`; fails unless stdout is one JSON object and nothing else. */
  json(...args: readonly string[]): Promise<Result>;
  start(...args: readonly string[]): Started;
  /** Another configuration file beside the worker's. */
  config(name: string, text: string): string;
  /** Empties hubs and counters, and takes faults back. */
  reset(): void;
  /** Fails if a hub was written to since the last reset. */
  expectUnwritten(): void;
  close(): Promise<void>;
}

export interface SceneOptions {
  readonly hubs?: readonly HubOptions[];
  /** Changes the configuration that worker and commands use. */
  readonly configure?: (text: string, stand: Stand) => string;
}

export async function openScene({ hubs, configure }: SceneOptions = {}): Promise<Scene> {
  const packed = await packedPackage();
  const command = [process.execPath, packed.main] as const;
  const served = hubs ?? [{ name: 'old' }, { name: 'new' }];
  const stand = await openStand({ hubs: served, seed: 5, settings: FAST, command });
  try {
    if (configure) {
      const { path, text } = configOf(stand);
      writeFileSync(path, configure(text, stand));
    }
    await stand.worker();
  } catch (error) {
    await stand.close();
    throw error;
  }
  const hub = (name: string): SimulatedHub => stand.simulator.hub(name);
  const all = served.map(({ name }) => hub(name));
  const imports = (): number =>
    all.flatMap(({ jobs }) => jobs.list()).filter(({ type }) => type === 'import').length;
  let importsBefore = 0;
  const startHere = (...args: readonly string[]): Started =>
    start(command, args, { cwd: stand.folder, env: stand.env });
  return {
    stand,
    packed,
    storage: openStorage(storageOf(loadConfig({ path: stand.configFile }))),
    hub,
    start: startHere,
    hubferry: (...args) => startHere(...args).ended,
    json: async (...args) => resultOf(await startHere(...args, '--json').ended),
    config: (name, text) => {
      const file = join(stand.folder, name);
      writeFileSync(file, text);
      return file;
    },
    reset: () => {
      for (const one of all) one.reset();
      importsBefore = imports();
    },
    expectUnwritten: () => {
      for (const one of all) expect(writesOf(one), one.name).toEqual({});
      expect(imports()).toBe(importsBefore);
    },
    close: () => stand.close(),
  };
}

function configOf(stand: Stand): { path: string; text: string } {
  const path = stand.configFile;
  return { path, text: readFileSync(path, 'utf8') };
}

/** What `--json` printed: one JSON object, and not a character more. */
export function resultOf(ended: Ended): Result {
  let report: unknown;
  try {
    report = JSON.parse(ended.stdout);
  } catch {
    throw new Error(`not one JSON object (exit ${ended.code}): ${ended.stdout}\n${ended.stderr}`);
  }
  expect(ended.stdout).toBe(`${JSON.stringify(report, null, 2)}\n`);
  return { ...ended, report: report as RunReport };
}
