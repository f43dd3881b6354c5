import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { KeyRing } from '../azure/key-ring.js';
import { openStorage, type Storage } from '../azure/storage.js';
import { ACCOUNT, startAzurite } from '../demo/azurite.js';
import { type Cost, costOf, median } from './cost.js';

/**
 * What it costs to seal: a snapshot of lines is written and read again, with its SHA-256 as every reader of a snapshot
 * makes it, plain and sealed in turn. Wall time has the blob service in it (Azurite, on the same machine); the processor
 * time of this process is what a worker pays.
 *
 *     npm run bench:sealing -- --mb 64 --rounds 5
 */
const { values: options } = parseArgs({
  options: {
    mb: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
  },
});

const CONTAINER = 'hf-bench';
const BYTES = Number(options.mb) * 1024 * 1024;

/** Lines as long as those of exports, of keys and of text. */
const LINES = Array.from({ length: 1_000 }, (_, index) => {
  const [primaryKey, secondaryKey] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
  const authentication = { symmetricKey: { primaryKey, secondaryKey }, type: 'sas' };
  const tags = { site: `plant ${index % 17}`, installed: '2026-03-01', note: 'x'.repeat(index % 300) };
  return `${JSON.stringify({ id: `device-${index}`, eTag: 'MTAx', status: 'enabled', authentication, tags })}\n`;
});

async function write(storage: Storage, blob: string): Promise<void> {
  const writer = storage.writer(CONTAINER, blob);
  for (let line = 0; writer.bytes < BYTES; line = (line + 1) % LINES.length)
    await writer.write(LINES[line] ?? '');
  await writer.close();
}

async function read(storage: Storage, blob: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const part of await storage.read(CONTAINER, blob)) hash.update(part);
  hash.digest();
}

const azurite = await startAzurite();
try {
  const config = {
    account: `http://127.0.0.1:${azurite.port}/${ACCOUNT}`,
    connectionString: azurite.connectionString,
  };
  const key = { id: 'bench', bytes: randomBytes(32) };
  const keys: KeyRing = { current: key, find: () => key };
  const storages = { plain: openStorage(config), sealed: openStorage(config, { keys }) };
  await storages.plain.createContainer(CONTAINER);
  const costs: Record<string, Cost[]> = {};
  // The first round warms up.
  for (let round = 0; round <= Number(options.rounds); round++) {
    for (const [kind, storage] of Object.entries(storages)) {
      for (const [name, work] of Object.entries({ write, read })) {
        const cost = await costOf(() => work(storage, `${kind}.txt`));
        if (round > 0) (costs[`${name} ${kind}`] ??= []).push(cost);
      }
    }
  }
  const rate = (name: string, what: keyof Cost): number =>
    BYTES / 1024 / 1024 / median((costs[name] ?? []).map((cost) => cost[what]));
  const rows = ['write', 'read'].flatMap((name) =>
    (['wall', 'processor'] as const).map((what) => {
      const [plain, sealed] = [rate(`${name} plain`, what), rate(`${name} sealed`, what)];
      return [
        name,
        what,
        `${plain.toFixed(0)} MB/s`,
        `${sealed.toFixed(0)} MB/s`,
        (plain / sealed).toFixed(2),
      ];
    }),
  );
  for (const row of [['', 'by', 'plain', 'sealed', 'times'], ...rows])
    process.stdout.write(
      `${row
        .map((cell) => cell.padEnd(11))
        .join('')
        .trimEnd()}\n`,
    );
} finally {
  await azurite.stop();
}
