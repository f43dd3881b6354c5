import { readFileSync } from 'node:fs';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { Found, Removed } from '../../activities/gc.js';
import { createActivities } from '../../activities/index.js';
import { Connections } from '../../azure/connections.js';
import { NO_KEYS } from '../../azure/key-ring.js';
import { readOwner } from '../../azure/owners.js';
import { createWorkerPair } from '../../worker/worker-pair.js';
import type { GcInput } from '../../workflows/gc.js';
import { enqueue, hubQueueIdOf, type RunReport, writerIdOf } from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import { OTHER_NAMESPACE } from '../support/services.js';
import { FAST, openTestStand, sharedServices, type TestStand, testRun } from '../support/stand.js';
import { until } from '../support/until.js';

const HERE = 'temporal:7233/default';
const THERE = `temporal:7233/${OTHER_NAMESPACE}`;

let stand: TestStand;
let elsewhere: { readonly client: Client; close(): Promise<void> };

beforeAll(async () => {
  const services = sharedServices(inject);
  stand = await openTestStand(services);
  elsewhere = await openElsewhere(services.temporalAddress, services.workflowBundle);
});
afterAll(async () => {
  await elsewhere.close();
  await stand.close();
});
beforeEach(() => {
  stand.reset();
  stand.hub('old').load([1, 2, 3].map((n) => ({ deviceId: `d${n}`, authentication: keys(n) })));
});

/** A worker of the same configuration on another Temporal server, as far as runs can tell. */
async function openElsewhere(address: string, workflowBundle: string): Promise<typeof elsewhere> {
  const namespace = OTHER_NAMESPACE;
  const { connection } = stand.client;
  const client = new Client({ connection, namespace });
  const connections = new Connections(stand.config, { ca: readFileSync(stand.simulator.caFile) });
  const native = await NativeConnection.connect({ address });
  const { taskQueue } = stand;
  const worker = await createWorkerPair({
    connection: native,
    namespace,
    activities: createActivities({
      connections,
      client,
      version: '0.0.0-test',
      hubQueue: { type: 'hubQueue', signal: enqueue.name, idOf: hubQueueIdOf },
    }),
    ring: NO_KEYS,
    tuning: { taskQueue, workflowBundle, stickyTimeout: 1000, shutdownGrace: 100 },
  });
  const running = worker.run();
  running.catch(() => undefined);
  return {
    client,
    close: async () => {
      worker.shutdown();
      await running;
      connections.close();
      await native.close();
    },
  };
}

const hostOf = (name: string): string => stand.config.hubs.get(name)?.host ?? '';

/** A migration as a client starts it, on either server. */
async function migrate(
  client: Client,
  server: string,
  run = testRun(),
  schedule?: string,
): Promise<WorkflowHandle> {
  const target = { host: hostOf('new') };
  const input = {
    run,
    ...(schedule === undefined ? {} : { schedule }),
    account: stand.storage.account,
    settings: FAST,
    server,
    goal: 'migrate',
    source: { kind: 'hub', host: hostOf('old') },
    target,
    existing: 'fail',
    strict: false,
  };
  const { taskQueue } = stand;
  const workflowId = writerIdOf(target.host);
  return await client.workflow.start('migrate', { workflowId, taskQueue, args: [input], memo: { run } });
}

const migratedHere = async (): Promise<RunReport> => stand.reportOf(await migrate(stand.client, HERE));
const migratedThere = async (): Promise<RunReport> => stand.reportOf(await migrate(elsewhere.client, THERE));

/** What `gc` does on a server: it looks, and removes what it has seen. */
async function gc(client: Client, server: string, named: readonly string[] = []) {
  const look: GcInput = {
    account: stand.storage.account,
    settings: FAST,
    hosts: [hostOf('old'), hostOf('new')],
    server,
    named,
    olderThan: 7 * 86_400_000,
    remove: null,
  };
  const { taskQueue } = stand;
  const ask = async <T>(input: GcInput): Promise<T> =>
    (await client.workflow.execute('gc', { workflowId: `gc/${testRun()}`, taskQueue, args: [input] })) as T;
  const found = await ask<Found>(look);
  return { found, remove: async () => ask<Removed>({ ...look, remove: found.remove }) };
}

/** What is there of a run. */
async function containersOf(run: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of stand.storage.listContainers(`hf-${run}-`)) names.push(name);
  return names;
}

const ownerNow = async (): Promise<string | undefined> =>
  (await readOwner(stand.storage, hostOf('new')))?.owner?.run;

const ofRun = (found: Found, run: string) => ({
  remove: found.remove.filter((thing) => thing.run === run),
  keep: found.keep.filter((thing) => thing.run === run),
});

test('a target has one writer among servers that share a storage account, also when that one is lost', async () => {
  const run = testRun();
  const held = stand.hold('stageChunk');
  const first = await migrate(stand.client, HERE, run);
  await held.reached;
  expect(await ownerNow()).toBe(run);

  const busy = await migratedThere();
  expect(busy).toMatchObject({ outcome: 'failed', jobs: [], error: { code: 'TARGET_BUSY' } });
  expect(busy.error?.message).toMatch(
    new RegExp(`^Run ${run} \\(migrate\\) of the Temporal server ${HERE} writes to new.* since 20`),
  );

  await first.terminate();
  held.release();
  const scheduled = await stand.reportOf(await migrate(elsewhere.client, THERE, testRun(), 'nightly'));
  expect(scheduled).toMatchObject({ outcome: 'skipped', error: { code: 'TARGET_BUSY' } });

  // From there nobody can see whether it goes on here.
  const unsure = (await gc(elsewhere.client, THERE)).found;
  expect(ofRun(unsure, run).remove).toEqual([]);
  expect(ofRun(unsure, run).keep.map(({ kind }) => kind)).toContain('owner');
  // Somebody says so, or it is asked here.
  const { found, remove } = await gc(elsewhere.client, THERE, [run]);
  expect(ofRun(found, run).remove.map(({ kind }) => kind)).toContain('owner');
  expect(await remove()).toEqual({ stayed: [] });
  expect(await ownerNow()).toBeUndefined();
  expect(await migratedThere()).toMatchObject({ outcome: 'verified', warnings: [], error: null });
  expect(await ownerNow()).toBeUndefined();
});

test('a run takes the place of one of its own server that was terminated, and frees the target when it fails', async () => {
  const lost = testRun();
  const held = stand.hold('stageChunk');
  const handle = await migrate(stand.client, HERE, lost);
  await held.reached;
  await handle.terminate();
  held.release();
  const warning = {
    code: 'OWNER_TAKEN_OVER',
    count: 1,
    samples: [`run ${lost} on ${hostOf('new')}`],
  };
  expect(await migratedHere()).toMatchObject({ outcome: 'verified', warnings: [warning] });
  stand.hub('new').reset();
  stand.hub('new').load([{ deviceId: 'd1', authentication: keys(9) }]);
  expect(await migratedHere()).toMatchObject({ error: { code: 'TARGET_DIFFERS' }, warnings: [{}] });
  expect(await ownerNow()).toBeUndefined();
});

/** The job of the target that has not ended. */
const jobOf = (type: 'export' | 'import') =>
  stand
    .hub('new')
    .jobs.list()
    .find((job) => job['type'] === type && !job['endTimeUtc']);

test('gc shows what a terminated run left behind, removes that and nothing else, and then shows nothing', async () => {
  const kept = await migratedHere();
  stand.hub('old').load([4, 5].map((n) => ({ deviceId: `d${n}`, authentication: keys(n) })));
  const run = testRun();
  const held = stand.hold('stageChunk');
  const handle = await migrate(stand.client, HERE, run);
  await held.reached;
  stand.hub('new').set({ startDelay: 600_000 });
  held.release();
  await until('an import', () => jobOf('import'));
  expect(ofRun((await gc(stand.client, HERE)).found, run)).toEqual({ remove: [], keep: [] });
  await handle.terminate();

  // The sending is cancelled with its run, and takes its job down.
  const { found, remove } = await until('all of it is over', async () => {
    const looked = await gc(stand.client, HERE);
    const { remove: gone, keep } = ofRun(looked.found, run);
    return gone.length > 0 && keep.length === 0 && looked;
  });
  const report = (await stand.storage.readText('hubferry', `runs/${run}.json`)) ?? '{}';
  const { snapshots } = JSON.parse(report) as RunReport;
  const named = [snapshots.source ?? '', snapshots.target ?? ''];
  const before = await containersOf(run);
  expect(before).toEqual(expect.arrayContaining(named));
  expect(
    ofRun(found, run)
      .remove.map(({ name }) => name)
      .toSorted(),
  ).toEqual([...before.filter((name) => !named.includes(name)), hostOf('new')].toSorted());
  expect(found.remove.filter(({ run: of }) => of === kept.run)).toEqual([]);
  expect(await remove()).toEqual({ stayed: [] });
  expect(ofRun((await gc(stand.client, HERE)).found, run)).toEqual({ remove: [], keep: [] });
  expect((await containersOf(run)).toSorted()).toEqual(named.toSorted());
  expect(await containersOf(kept.run)).toHaveLength(2);
});

test('gc leaves a job of a terminated run its container until it is over', async () => {
  const run = testRun();
  stand.hub('new').set({ startDelay: 600_000 });
  const handle = await migrate(stand.client, HERE, run);
  const { jobId } = await until('an export', () => jobOf('export'));
  await handle.terminate();
  const { found } = await gc(stand.client, HERE);
  // That of the source may be over by now.
  expect(ofRun(found, run).keep).toContainEqual({
    kind: 'container',
    name: `hf-${run}-0002-1`,
    run,
    why: `a job on ${hostOf('new')} is still watched; it goes when that is over`,
  });
  stand.hub('new').jobs.cancel(jobId as string);
  const over = await until('the job is over', async () => {
    const looked = await gc(stand.client, HERE);
    return ofRun(looked.found, run).keep.length === 0 && looked;
  });
  expect(await over.remove()).toEqual({ stayed: [] });
  expect(await containersOf(run)).toEqual([]);
});
