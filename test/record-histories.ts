import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { generateFleet } from '../simulator/index.js';
import {
  applyIdOf,
  hubQueueIdOf,
  RUN_PLACE,
  type RunReport,
  readerIdOf,
  type ScheduledInput,
  type SnapshotInput,
} from '../workflows/messages.js';
import { startServices } from './support/services.js';
import { FAST, openTestStand, type TestStand, testRun } from './support/stand.js';

/**
 * Records the histories that test/replay.test.ts replays: `npm run record-histories`, or with the names of scenarios after
 * `--` only those. Run it when a version is released or a scenario is added; a history of a released version is never recorded again, since runs that it stands for may
 * still be open somewhere.
 */
const FOLDER = fileURLToPath(new URL('./histories', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const SMALL = { settings: { ...FAST, chunkLines: 20 } };

type Scenario = (stand: TestStand) => Promise<Record<string, WorkflowHandle>>;

const scenarios: Record<string, Scenario> = {
  'whole fleet': async (stand) => {
    stand.hub('old').load(generateFleet({ devices: 60, seed: 4 }));
    return finished(stand, await stand.migrate(SMALL));
  },
  'no change': async (stand) => {
    stand.hub('old').load(generateFleet({ devices: 5, seed: 1, plain: true }));
    stand.hub('new').load(stand.hub('old').dump());
    const handle = await stand.migrate(SMALL);
    await stand.reportOf(handle);
    return { migrate: handle };
  },
  'job lost, repaired': async (stand) => {
    stand.hub('old').load(generateFleet({ devices: 40, seed: 1, plain: true }));
    stand.hub('new').addJobFault({ kind: 'failAfter', lines: 5, type: 'import' });
    return finished(stand, await stand.migrate(SMALL));
  },
  'reply lost, adopted': async (stand) => {
    stand.hub('old').load(generateFleet({ devices: 10, seed: 1, plain: true }));
    stand.hub('new').addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 2 });
    return finished(stand, await stand.migrate(SMALL));
  },
  'target differs': async (stand) => {
    stand.hub('old').load(generateFleet({ devices: 5, seed: 1, plain: true }));
    stand.hub('new').load(generateFleet({ devices: 5, seed: 2, plain: true }));
    const handle = await stand.migrate(SMALL);
    await stand.reportOf(handle);
    return { migrate: handle };
  },
  snapshot: async (stand) => {
    const run = testRun();
    const host = stand.config.hubs.get('old')?.host ?? '';
    const input = { run, account: stand.storage.account, settings: FAST, source: { kind: 'hub', host } };
    const handle = await stand.client.workflow.start('snapshot', {
      workflowId: readerIdOf('snapshot', run),
      taskQueue: stand.taskQueue,
      args: [input],
    });
    await handle.result();
    return { snapshot: handle };
  },
  'snapshot by schedule': async (stand) => ({ scheduled: await scheduledSnapshot(stand, 'snapshot/{run}') }),
  'schedule skipped': async (stand) => {
    const handle = await stand.migrate(SMALL);
    const skipped = await scheduledSnapshot(stand, handle.workflowId);
    await handle.result();
    return { scheduled: skipped };
  },
  check: async (stand) => {
    const hosts = [...stand.config.hubs.values()].map(({ host }) => host);
    const handle = await stand.client.workflow.start('check', {
      workflowId: `check/${testRun()}`,
      taskQueue: stand.taskQueue,
      args: [{ account: stand.storage.account, settings: FAST, hosts }],
    });
    await handle.result();
    return { check: handle };
  },
};

/** One time of a schedule to its end. */
async function scheduledSnapshot(stand: TestStand, workflowId: string): Promise<WorkflowHandle> {
  const host = stand.config.hubs.get('old')?.host ?? '';
  const snapshot: SnapshotInput = {
    run: RUN_PLACE,
    account: stand.storage.account,
    settings: FAST,
    source: { kind: 'hub', host },
  };
  const input: ScheduledInput = {
    schedule: 'nightly',
    workflow: 'snapshot',
    workflowId,
    input: snapshot,
    digest: '',
    summary: 'snapshot old',
    report: { workflow: 'snapshot', source: host, target: null },
    keep: { count: 1 },
    failing: true,
  };
  const handle = await stand.client.workflow.start('scheduled', {
    workflowId: `scheduled/nightly-${testRun()}`,
    taskQueue: stand.taskQueue,
    args: [input],
  });
  await handle.result();
  return handle;
}

/** Compact, and without this machine's paths in stack traces. */
function portable(history: string): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  return JSON.stringify(JSON.parse(history.replaceAll(root, '')));
}

/** A run and what worked for it: the sending of its plan, and the target's queue and last job. */
async function finished(stand: TestStand, handle: WorkflowHandle): Promise<Record<string, WorkflowHandle>> {
  const report: RunReport = await stand.reportOf(handle);
  const { workflow } = stand.client;
  return {
    migrate: handle,
    apply: workflow.getHandle(applyIdOf(report.run, 0)),
    hubQueue: workflow.getHandle(hubQueueIdOf(report.target ?? '')),
    hubJob: workflow.getHandle(`hub-job/${report.target}`),
  };
}

const asked = process.argv.slice(2);
const started = await startServices();
try {
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const stand = await openTestStand(started.services);
    try {
      for (const [workflow, handle] of Object.entries(await scenario(stand))) {
        mkdirSync(join(FOLDER, workflow), { recursive: true });
        const file = join(FOLDER, workflow, `${version}-${name.replace(/[^a-z]+/g, '-')}.json`);
        rmSync(file, { force: true });
        writeFileSync(file, `${portable(historyToJSON(await handle.fetchHistory()))}\n`);
        process.stdout.write(`${file}\n`);
      }
    } finally {
      await stand.close();
    }
  }
} finally {
  await started.stop();
}
