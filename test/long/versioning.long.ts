import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStand, type Stand } from '../../demo/stand.js';
import type { SimulatedHub } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import { findServer } from '../../worker/server-binary.js';
import { hubQueueIdOf, type RunReport, writerIdOf } from '../../workflows/messages.js';
import { compiledCommand } from '../support/compiled.js';
import { keys } from '../support/keys.js';
import { until } from '../support/until.js';

const PATIENCE = 500_000;
const SETTINGS =
  '{ settle: 50ms, heartbeat: 2s, slotWait: 100ms, poll: { first: 50ms, max: 100ms }, edgePoll: 100ms, visible: 2s }';

let stand: Stand;
let connection: Connection;
let client: Client;
beforeAll(async () => {
  stand = await openStand({
    command: compiledCommand('client/main'),
    hubs: [{ name: 'old' }, { name: 'new' }, { name: 'other' }],
    seed: 3,
    settings: SETTINGS,
  });
  ({ connection, client } = await connectClient({ address: stand.temporal.address, namespace: 'default' }));
  hub('old').load([1, 2, 3].map((n) => ({ deviceId: `d${n}`, authentication: keys(n) })));
}, PATIENCE);
afterAll(async () => {
  await connection?.close();
  await stand?.close();
});

const hub = (name: string): SimulatedHub => stand.simulator.hub(name);

/** A worker of a build, which is made the current one as docs/upgrades.md says. */
async function release(build: string): Promise<void> {
  await stand.worker(['--versioning', 'pinned', '--build', build, '--sticky', '0.5']);
  const { path } = await findServer();
  const words = 'worker deployment set-current-version --deployment-name hubferry --yes --build-id';
  const command = [...words.split(' '), build, '--address', stand.temporal.address];
  // The server hears of a build when its workers first ask for work.
  await until(`the server knows ${build}`, () =>
    promisify(execFile)(path, command).then(
      () => true,
      () => false,
    ),
  );
}

const migrate = (target: string, ...args: string[]) =>
  stand.cli(['migrate', 'old', target, '--json', ...args, '--config', stand.configFile]);

/** The builds that carried a workflow on, in their order. */
async function buildsOf(workflowId: string): Promise<string[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const builds = (events ?? []).flatMap(({ workflowTaskCompletedEventAttributes: done }) =>
    done ? [done.deploymentVersion?.buildId ?? done.workerDeploymentVersion ?? 'none'] : [],
  );
  return builds.filter((build, n) => build !== builds[n - 1]);
}

it(
  'a run is finished by the build it began under, a new one begins under the current one, and queues go over',
  async () => {
    await release('one');
    const first = migrate('new', '--approve');
    const report = await until(
      'it waits',
      async () => {
        const { stdout } = await stand.cli(['list', '--json', '--config', stand.configFile]).ended;
        const [run] = JSON.parse(stdout) as RunReport[];
        return run?.outcome === 'parked' && run;
      },
      PATIENCE,
    );

    await release('two');
    const second = await migrate('other').ended;
    expect(JSON.parse(second.stdout)).toMatchObject({ error: null, outcome: 'verified' });
    expect(await buildsOf(writerIdOf(hub('other').hostName))).toEqual(['two']);

    const { run, plan } = report;
    const approved = stand.cli(['approve', run, plan ?? '', '--json', '--config', stand.configFile]);
    expect(JSON.parse((await approved.ended).stdout)).toMatchObject({
      run,
      error: null,
      outcome: 'verified',
    });
    // The command that started it has ended when the run began to wait.
    expect(JSON.parse((await first.ended).stdout)).toMatchObject({ run, outcome: 'parked' });
    expect(await buildsOf(writerIdOf(hub('new').hostName))).toEqual(['one']);
    expect(await buildsOf(hubQueueIdOf(hub('old').hostName))).toEqual(['one', 'two']);
  },
  PATIENCE,
);
