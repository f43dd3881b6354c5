import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SnapshotInfo } from '../activities/backup-export.js';
import { partitionCount } from '../registry/partition.js';
import { bundleWorkflows } from '../worker/bundling.js';
import { connectClient } from '../worker/connection.js';
import { startDevServer } from '../worker/dev-server.js';
import { findServer } from '../worker/server-binary.js';
import type { MigrateInput } from '../workflows/messages.js';
import { fileStorage } from './file-storage.js';
import type { PlanInput } from './plan-workflow.js';
import { writeSnapshot } from './snapshots.js';

/**
 * How much faster two worker processes make transform and plan against an empty target than one, under a real Temporal
 * server and on local files. A process of its own: `tsx bench/workers.ts DEVICES ROUNDS` prints one line of JSON.
 */
const [devices = 1_000_000, rounds = 3] = process.argv.slice(2).map(Number);
const PARTITION = 8 * 1024 * 1024;

const root = mkdtempSync(join(tmpdir(), 'hubferry-bench-'));
const server = await startDevServer({ binary: (await findServer()).path });
const { client, connection } = await connectClient({ address: server.address, namespace: 'default' });
const children = new Set<ChildProcess>();

async function startWorker(taskQueue: string, bundle: string): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('plan-worker.ts', import.meta.url)), [
    server.address,
    taskQueue,
    join(root, 'storage'),
    bundle,
  ]);
  children.add(child);
  await once(child, 'message');
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  children.delete(child);
}

try {
  const bundle = join(root, 'workflows.js');
  writeFileSync(
    bundle,
    await bundleWorkflows(false, fileURLToPath(new URL('plan-workflow.ts', import.meta.url))),
  );
  const storage = fileStorage(join(root, 'storage'));
  const rangeBytes = 4 * PARTITION;
  const source = await writeSnapshot(storage, 'source', { devices, rangeBytes });
  const target = await writeSnapshot(storage, 'target', { devices: 0, rangeBytes });
  const warm = await writeSnapshot(storage, 'warm', {
    devices: Math.ceil(devices / 5),
    rangeBytes: PARTITION,
  });
  const settings = {
    chunkLines: 50_000,
    maxLineBytes: 1_048_576,
    partitionBytes: PARTITION,
    planMaxAge: 600_000,
    settle: 0,
    poll: { first: 1_000, max: 10_000 },
    slotWait: 10_000,
    jobDeadline: 600_000,
    sasLifetime: 600_000,
    repairRounds: 0,
    heartbeat: 30_000,
    edgePoll: 1_000,
    visible: 1_000,
  };
  const seconds: Record<1 | 2, number[]> = { 1: [], 2: [] };
  for (let round = 0; round < rounds; round++)
    for (const count of [1, 2] as const) {
      const taskQueue = `bench-${round}-${count}`;
      const workers = await Promise.all(Array.from({ length: count }, () => startWorker(taskQueue, bundle)));
      const planned = async (from: SnapshotInfo, run: string): Promise<void> => {
        const input: MigrateInput = {
          run,
          account: 'bench',
          settings,
          goal: 'plan',
          source: { kind: 'hub', host: from.host },
          target: { host: target.host },
          existing: 'fail',
          strict: false,
        };
        const args: [PlanInput] = [{ input, source: from, target }];
        const created: unknown = await client.workflow.execute('planned', {
          workflowId: run,
          taskQueue,
          args,
        });
        if (created !== from.devices) throw new Error(`${String(created)} of ${from.devices} are created`);
      };
      // Workers run for days: their code is compiled.
      await planned(warm, `20260101-00000${round}-warms${count}`);
      const began = performance.now();
      await planned(source, `20260101-00000${round}-bench${count}`);
      seconds[count].push((performance.now() - began) / 1000);
      for (const worker of workers) await end(worker);
    }
  const partitions = partitionCount(source.bytes, PARTITION);
  process.stdout.write(`${JSON.stringify({ devices, bytes: source.bytes, partitions, seconds })}\n`);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await connection.close();
  await server.stop();
  rmSync(root, { recursive: true, force: true });
}
