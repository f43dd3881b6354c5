import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { openStorage, type Storage } from '../../azure/storage.js';
import { loadConfig, storageOf } from '../../config/index.js';
import { openStand, type Stand } from '../../demo/stand.js';
import { connectClient } from '../../worker/connection.js';
import { StorageGate } from '../crash/storage-gate.js';
import { FAST } from '../e2e/scene.js';

/** As it is, URL-encoded, and the base64 of it at any of three offsets (as in a payload that is printed). */
export function disguises(secret: string): string[] {
  const shifted = [0, 1, 2].map((offset) => {
    const text = Buffer.from(`${' '.repeat(offset)}${secret}`).toString('base64');
    // The first and the last characters also depend on what stands around it.
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  const hex = /^[A-Za-z0-9+/]{22,}={0,2}$/.test(secret)
    ? [Buffer.from(secret, 'base64').toString('hex')]
    : [];
  return [...new Set([secret, encodeURIComponent(secret), ...shifted, ...hex])];
}

/** Where secrets (by name) stand in a text, in any disguise: their names and the place, never themselves. */
export function leaksIn(secrets: ReadonlyMap<string, string>, place: string, text: string): string[] {
  return [...secrets].flatMap(([name, secret]) =>
    disguises(secret).some((form) => text.includes(form)) ? [`${name} in ${place}`] : [],
  );
}

/** Real processes that log all they can, and everything that nobody may find in what they leave. */
export interface PlantedStand {
  readonly stand: Stand;
  readonly gate: StorageGate;
  readonly storage: Storage;
  /**
   * What was planted, device keys that any hub has, or had when this was called before, the hubs' policy keys, SAS and
   * other signatures, by name.
   */
  secrets(): ReadonlyMap<string, string>;
  /** Everything that is left outside the private containers, by place. */
  leftBehind(): Promise<(readonly [place: string, text: string])[]>;
  close(): Promise<void>;
}

export interface PlantedOptions {
  readonly command: readonly [string, ...string[]];
  readonly hubs?: readonly string[];
  /** Texts in records that nobody may find either, by name. */
  readonly planted: Readonly<Record<string, string>>;
  /** Files below the stand's folder that hold keys because somebody put or wanted them there: the start of their paths. */
  readonly given?: readonly string[];
}

export async function openPlantedStand(options: PlantedOptions): Promise<PlantedStand> {
  const { command, hubs = ['old', 'new'], planted, given = [] } = options;
  const gates: StorageGate[] = [];
  const stand = await openStand({
    command,
    hubs: hubs.map((name) => ({ name })),
    seed: 21,
    settings: FAST,
    env: { HUBFERRY_LOG_LEVEL: 'trace' },
    storageThrough: async (connectionString) => {
      const opened = await StorageGate.open(connectionString);
      gates.push(opened.gate);
      return opened.connectionString;
    },
  });
  const [gate] = gates;
  if (gate === undefined) throw new Error('there is no gate');
  const storage = openStorage(storageOf(loadConfig({ path: stand.configFile })));
  // The configuration is where keys come from; the certificate authority has a key of its own.
  const known = [stand.configFile, ...['ca/', ...given].map((place) => join(stand.folder, place))];

  const found = new Map(Object.entries(planted));
  const secrets = (): ReadonlyMap<string, string> => {
    const before = new Set(found.values());
    const note = (name: string, secret: string | null | undefined): void => {
      if (!secret || before.has(secret)) return;
      before.add(secret);
      // One of another time has the name already.
      found.set(found.has(name) ? `${name}, ${found.size}` : name, secret);
    };
    for (const name of hubs) {
      const hub = stand.simulator.hub(name);
      for (const [policy, key] of Object.entries(hub.keys)) note(`${name}: ${policy}`, key);
      for (const { deviceId, moduleId, authentication } of hub.dump()) {
        const { primaryKey, secondaryKey } = authentication.type === 'sas' ? authentication : {};
        note(`primary key of ${deviceId}/${moduleId ?? ''}`, primaryKey);
        note(`secondary key of ${deviceId}/${moduleId ?? ''}`, secondaryKey);
      }
    }
    for (const signature of gate.signatures) note('signature', signature);
    return found;
  };

  const leftBehind = async (): Promise<(readonly [string, string])[]> => {
    const files = filesBelow(stand.folder)
      .filter((file) => !known.some((place) => file.startsWith(place)))
      .flatMap((file) => {
        const text = textOf(file);
        return text === null ? [] : [[file.slice(stand.folder.length + 1), text] as const];
      });
    const shared: (readonly [string, string])[] = [];
    for await (const { name } of storage.list('hubferry')) {
      shared.push([`hubferry/${name}`, (await storage.readText('hubferry', name)) ?? '']);
    }
    const output = ['output of worker and commands', stand.output()] as const;
    return [output, ...files, ...shared, ...(await historiesOf(stand))];
  };
  return {
    stand,
    gate,
    storage,
    secrets,
    leftBehind,
    close: async () => {
      await stand.close();
      await gate.close();
    },
  };
}

/** What Temporal shows of each workflow: its history, and what it is described with. */
async function historiesOf(stand: Stand): Promise<(readonly [string, string])[]> {
  const { client, connection } = await connectClient({
    address: stand.temporal.address,
    namespace: 'default',
  });
  const found: (readonly [string, string])[] = [];
  try {
    for await (const { workflowId, runId, type } of client.workflow.list()) {
      const handle = client.workflow.getHandle(workflowId, runId);
      const { raw } = await handle.describe();
      found.push(
        [`history of ${type} ${workflowId}`, decoded(historyToJSON(await handle.fetchHistory()))],
        [`description of ${type} ${workflowId}`, decoded(JSON.stringify(raw))],
      );
    }
  } finally {
    await connection.close();
  }
  return found;
}

/** JSON of Temporal, and what its payloads hold. */
function decoded(text: string): string {
  const payloads = [...text.matchAll(/"data": ?"([A-Za-z0-9+/=]+)"/g)];
  return [text, ...payloads.map(([, data = '']) => Buffer.from(data, 'base64').toString())].join('\n');
}

/** Null where the file is gone meanwhile, as the journal of the server's database is. */
function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}
