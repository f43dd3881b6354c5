import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { activityInfo, CancelledFailure, Context } from '@temporalio/activity';
import { NativeConnection } from '@temporalio/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NO_KEYS } from '../../azure/key-ring.js';
import { buildId } from '../../worker/build-id.js';
import { bundleWorkflows } from '../../worker/bundling.js';
import { connectClient } from '../../worker/connection.js';
import { type DevServer, startDevServer } from '../../worker/dev-server.js';
import { installRuntime } from '../../worker/runtime.js';
import { findServer } from '../../worker/server-binary.js';
import { VERSION } from '../../worker/version.js';
import { createWorkerPair } from '../../worker/worker-pair.js';

installRuntime(pino({ level: 'silent' }));

let folder: string;
let bundle: string;
let server: DevServer;
let temporal: Awaited<ReturnType<typeof connectClient>>;
let connection: NativeConnection;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hubferry-pair-'));
  bundle = join(folder, 'bundle.js');
  const workflows = fileURLToPath(new URL('./fixtures/workflows.ts', import.meta.url));
  const [{ path: binary }, code] = await Promise.all([findServer(), bundleWorkflows(false, workflows)]);
  writeFileSync(bundle, code);
  server = await startDevServer({ binary, fastTimers: true });
  temporal = await connectClient({ address: server.address, namespace: 'default' });
  connection = await NativeConnection.connect({ address: server.address });
}, 120_000);

afterAll(async () => {
  await connection?.close();
  await temporal?.connection.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

let held = 0;
const activities = {
  whereAmI: async () => activityInfo().taskQueue,
  hold: async () => {
    held++;
    try {
      return await Context.current().cancelled;
    } catch (error) {
      return error instanceof CancelledFailure ? error.message : 'other';
    }
  },
};

async function pair(taskQueue: string, tuning: object = {}) {
  return await createWorkerPair({
    connection,
    namespace: 'default',
    activities,
    ring: NO_KEYS,
    tuning: { taskQueue, workflowBundle: bundle, ...tuning },
  });
}

test('light activities run on the queue of the workflows, heavy ones on its transfer queue', async () => {
  const workers = await pair('both');
  const running = workers.run();
  const places = await temporal.client.workflow.execute('askBoth', { taskQueue: 'both', workflowId: 'both' });
  expect(places).toEqual(['both', 'both-transfer']);
  workers.shutdown();
  await running;
});

test('its build id is hubferry’s version, and a hash of its code', async () => {
  const { workflowService } = temporal.connection;
  const history = await workflowService.getWorkflowExecutionHistory({
    namespace: 'default',
    execution: { workflowId: 'both' },
  });
  const events = history.history?.events ?? [];
  const completed = events.flatMap((event) => event.workflowTaskCompletedEventAttributes ?? []);
  expect(buildId()).toMatch(new RegExp(String.raw`^${VERSION.replaceAll('.', '\\.')}\+[\da-f]{12}$`));
  expect(JSON.stringify(completed)).toContain(`"buildId":"${buildId()}"`);
});

test('a shutdown cancels what still runs after the grace time, and the worker ends', async () => {
  const workers = await pair('grace', { shutdownGrace: 200 });
  const running = workers.run();
  const handle = await temporal.client.workflow.start('holdOne', { taskQueue: 'grace', workflowId: 'grace' });
  await expect.poll(() => held, { timeout: 10_000 }).toBe(1);
  const asked = Date.now();
  workers.shutdown();
  await running;
  expect(Date.now() - asked).toBeGreaterThanOrEqual(200);
  expect(Date.now() - asked).toBeLessThan(5_000);
  await handle.terminate();
});

test('a shutdown before the start is remembered by nobody but does no harm', async () => {
  const workers = await pair('early');
  workers.shutdown();
  const running = workers.run();
  workers.shutdown();
  await running;
});
