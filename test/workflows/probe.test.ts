import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { ProbeAnswer } from '../../registry/probe.js';
import type { SimulatedHub } from '../../simulator/index.js';
import { type RunReport, writerIdOf } from '../../workflows/messages.js';
import type { ProbeRunInput } from '../../workflows/probe.js';
import { FAST, openTestStand, sharedServices, type TestStand, testRun, writesOf } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  const hubs = [{ name: 'scratch' }, { name: 'mine' }];
  stand = await openTestStand(sharedServices(inject), hubs, { scratch: ', role: scratch' });
});
afterAll(() => stand.close());
beforeEach(() => {
  for (const name of ['scratch', 'mine']) stand.hub(name).reset();
});

const hub = (): SimulatedHub => stand.hub('scratch');

async function start(name = 'scratch') {
  const host = stand.config.hubs.get(name)?.host ?? '';
  const run = testRun();
  const input: ProbeRunInput = { run, account: stand.storage.account, settings: FAST, target: { host } };
  return await stand.client.workflow.start('probe', {
    workflowId: writerIdOf(host),
    taskQueue: stand.taskQueue,
    args: [input],
  });
}

const probed = async (name?: string): Promise<RunReport> => await stand.reportOf(await start(name));

const told = (answers: readonly ProbeAnswer[] = []): Record<string, string> =>
  Object.fromEntries(answers.map(({ question, answer }) => [question, answer]));

/** Nothing of a probe is left: no record on the hub, no container in storage. */
async function expectClean({ run }: Pick<RunReport, 'run'>): Promise<void> {
  expect(
    [...hub().dump()].map(({ deviceId }) => deviceId).filter((id) => id.startsWith('hubferry-')),
  ).toEqual([]);
  const left: string[] = [];
  for await (const name of stand.storage.listContainers(`hf-${run}-`)) left.push(name);
  expect(left).toEqual([]);
}

describe('a probe', () => {
  it('tells the answers that the simulator gives by itself, and leaves what was there', async () => {
    hub().load([{ deviceId: 'theirs', tags: { a: 1 } }]);
    const report = await probed();
    expect(report).toMatchObject({ workflow: 'probe', outcome: 'done', error: null });
    expect(told(report.probe)).toEqual({
      'a line of a module': 'taken',
      'a module’s line before that of its device': 'refused (404001)',
      'a line of $edgeAgent': 'refused (401100)',
      'an error about a module': 'names the module',
      'tags of an update': 'replaced',
      'desired properties of an update': 'replaced',
      'empty tags in an update': 'clear them',
      'the scope of a leaf device': 'taken',
      'parentScopes of an edge device': 'taken',
      'the scope of no edge device': 'taken',
      'reported properties in an import': 'ignored',
      'reported properties in an export': 'cannot be told: there are none',
      'parentScopes in an export': 'written',
      'an export without keys begins': 'with a line that is no record',
      'a byte order mark in an export': 'no',
      'certificates in an export without keys': 'authentication: null',
      'an import without its blob': 'refused at once',
    });
    await expectClean(report);
    expect(hub().record('theirs')?.tags).toEqual({ a: 1 });
  });

  it('tells the other answers, too', async () => {
    hub().set({
      importOrder: 'devicesFirst',
      importSystemModules: 'apply',
      errorLogModuleId: false,
      importTwinPart: 'merge',
      importLeafScope: 'ignore',
      importParentScopes: 'ignore',
      importStaleScope: 'refuse',
      importReported: 'write',
      exportReported: true,
      exportParentScopes: false,
      exportWarning: false,
      exportBom: true,
      exportExcludedKeys: 'nullKeys',
      missingInputBlob: 'failJob',
    });
    const report = await probed();
    expect(report).toMatchObject({ outcome: 'done', error: null });
    expect(told(report.probe)).toMatchObject({
      'a module’s line before that of its device': 'taken',
      'a line of $edgeAgent': 'taken',
      'an error about a module': 'names its device',
      'tags of an update': 'merged',
      'desired properties of an update': 'merged',
      'empty tags in an update': 'leave what is there',
      'the scope of a leaf device': 'ignored',
      'parentScopes of an edge device': 'ignored',
      'the scope of no edge device': expect.stringMatching(/^(?:refused \(400028\)|ignored)$/),
      'reported properties in an import': 'written',
      'reported properties in an export': 'written',
      'parentScopes in an export': 'left out',
      'an export without keys begins': 'with a record',
      'a byte order mark in an export': 'yes',
      'certificates in an export without keys': 'are written',
      'an import without its blob': expect.stringMatching(/^a job that is failed/),
    });
    await expectClean(report);
  });

  it('tells where modules are refused', async () => {
    hub().set({ importModules: 'refuse' });
    const report = await probed();
    expect(told(report.probe)).toMatchObject({
      'a line of a module': 'refused (400012)',
      'a module’s line before that of its device': 'cannot be told',
    });
    await expectClean(report);
  });

  it('removes its records when a job fails in the middle, and when it is cancelled', async () => {
    hub().addJobFault({ kind: 'failAfter', lines: 1, type: 'export' });
    const failed = await probed();
    expect(failed).toMatchObject({ outcome: 'failed', error: { code: 'JOB_FAILED' } });
    await expectClean(failed);

    hub().set({ startDelay: 5_000 });
    const handle = await start();
    await until('its first job', () =>
      hub()
        .jobs.list()
        .some(({ status }) => status === 'enqueued'),
    );
    const report = await handle.query<RunReport>('runReport');
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    await expectClean(report);
  });

  it('touches no hub that is not a scratch hub', async () => {
    const report = await probed('mine');
    expect(report).toMatchObject({ outcome: 'failed', error: { code: 'HUB_NOT_SCRATCH' } });
    expect(writesOf(stand.hub('mine'))).toEqual({});
    expect(stand.hub('mine').jobs.list()).toEqual([]);
  });
});
