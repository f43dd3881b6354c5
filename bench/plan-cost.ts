import { MockActivityEnvironment } from '@temporalio/testing';
import type { Deps } from '../activities/deps.js';
import { lineBatches } from '../activities/lines.js';
import { planActivities } from '../activities/plan.js';
import { reconcileActivities } from '../activities/reconcile.js';
import { transformActivities } from '../activities/transform.js';
import { openStorage } from '../azure/storage.js';
import { ACCOUNT, startAzurite } from '../demo/azurite.js';
import { partitionCount } from '../registry/partition.js';
import { type Cost, costOf } from './cost.js';
import { memoryStorage } from './memory-storage.js';
import { writeSnapshot } from './snapshots.js';

/**
 * What transform and plan cost beside parsing and printing the same lines, in one process, in memory or through
 * Azurite. A process of its own: `tsx bench/plan-cost.ts DEVICES memory|azurite` prints one line of JSON.
 */
const devices = Number(process.argv[2] ?? 100_000);
const through = process.argv[3] ?? 'memory';
const PARTITION = 8 * 1024 * 1024;
const MAX_LINE = 1024 * 1024;

const azurite = through === 'azurite' ? await startAzurite() : null;
try {
  const storage =
    azurite === null
      ? memoryStorage(8192 * devices + PARTITION)
      : openStorage({
          account: `http://127.0.0.1:${azurite.port}/${ACCOUNT}`,
          connectionString: azurite.connectionString,
        });
  const deps = { connections: { storage: () => storage } } as unknown as Deps;
  const run = <R>(work: () => Promise<R>): Promise<R> => new MockActivityEnvironment().run(work);
  const splits = transformActivities(deps);
  const joins = reconcileActivities(deps);
  const plans = planActivities(deps);
  const rangeBytes = 4 * PARTITION;
  const source = await writeSnapshot(storage, 'source', { devices, rangeBytes });
  const changed = (n: number): boolean => n % 100 === 0;
  const targets = {
    empty: await writeSnapshot(storage, 'empty', { devices: 0, rangeBytes }),
    similar: await writeSnapshot(storage, 'similar', { devices, rangeBytes, changed }),
  };
  for (const name of ['work', 'hubferry']) await storage.createContainer(name);
  const partitions = partitionCount(source.bytes, PARTITION);
  const account = 'bench';

  const json = await costOf(() =>
    run(async () => {
      let printed = 0;
      for await (const batch of lineBatches(await storage.read('source', 'devices.txt'), {
        maxLineBytes: MAX_LINE,
      }))
        for (const { text } of batch) printed += JSON.stringify(JSON.parse(text ?? '')).length;
      if (printed === 0) throw new Error('no lines');
    }),
  );
  /** The same bytes once each way, and nothing else. */
  const transfer = await costOf(async () => {
    const copy = storage.writer('source', 'copy');
    for await (const part of await storage.read('source', 'devices.txt')) await copy.write(part);
    await copy.close();
  });
  const transformed = await costOf(async () => {
    for (const [piece, range] of (source.ranges ?? []).entries())
      await run(() =>
        splits.transform({
          account,
          work: 'work',
          snapshot: 'source',
          sha256: source.sha256,
          bytes: source.bytes,
          partitionBytes: PARTITION,
          maxLineBytes: MAX_LINE,
          range,
          piece,
        }),
      );
  });
  let pass = 0;
  const plan = async (target: keyof typeof targets, expected: Record<string, number>): Promise<Cost> => {
    pass += 1;
    const found: Record<string, number> = { create: 0, update: 0, equal: 0 };
    const cost = await costOf(async () => {
      for (const [piece, range] of (targets[target].ranges ?? []).entries())
        await run(() =>
          splits.partition({
            account,
            work: 'work',
            snapshot: target,
            pass,
            partitions,
            maxLineBytes: MAX_LINE,
            range,
            piece,
          }),
        );
      const policy = { existing: 'overwrite', extra: 'keep' } as const;
      const of = { account, work: 'work', pass, policy };
      for (let at = 0; at < partitions; at++) {
        const sides = { sourceEdges: 'source', targetSnapshot: target, own: null, configurations: target };
        const part = await run(() => joins.reconcile({ ...of, ...sides, samples: true, partition: at }));
        for (const name of Object.keys(found)) found[name] = (found[name] ?? 0) + part[name as 'create'];
      }
      await run(() => plans.sealPlan({ ...of, run: 'bench', salt: '', partitions, keep: false }));
    });
    if (JSON.stringify(found) !== JSON.stringify(expected))
      throw new Error(`${target}: ${JSON.stringify(found)}`);
    return cost;
  };
  const differ = Math.ceil(devices / 100);
  const empty = await plan('empty', { create: devices, update: 0, equal: 0 });
  const similar = await plan('similar', { create: 0, update: differ, equal: devices - differ });
  process.stdout.write(
    `${JSON.stringify({ devices, bytes: source.bytes, json, transfer, transform: transformed, empty, similar })}\n`,
  );
} finally {
  await azurite?.stop();
}
