import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeSchedule } from '../../client/schedules.js';
import { generateFleet } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import type { Ended } from '../e2e/packed.js';
import { openScene, type Scene } from '../e2e/scene.js';
import { until } from '../support/until.js';

const PATIENCE = 90_000;

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
}, 180_000);
afterAll(() => scene.close());

const schedule = (...args: readonly string[]): Promise<Ended> => scene.hubferry('schedule', ...args);

/** The same with `--json`. */
async function object(
  ...args: readonly string[]
): Promise<Record<string, unknown> & { code: number | null }> {
  const { code, stdout } = await schedule(args[0] ?? '', '--json', ...args.slice(1));
  return { ...(JSON.parse(stdout) as Record<string, unknown>), code };
}

async function runEnded(name: string): Promise<void> {
  const { address } = scene.stand.temporal;
  const { client, connection } = await connectClient({ address, namespace: 'default' });
  await until('its run is over', async () => !(await describeSchedule(client, name)).running);
  await connection.close();
}

it(
  'a schedule of a migration, as docs/schedules.md tells it',
  async () => {
    scene.hub('old').load(generateFleet({ devices: 20, seed: 1 }));
    const migrate = ['migrate', 'old', 'new', '--existing', 'overwrite'];
    const made = await object('create', 'nightly', '--cron', '30 2 * * *', '--keep', '2', '--', ...migrate);
    expect(made).toMatchObject({
      code: 0,
      outcome: 'done',
      name: 'nightly',
      command: migrate.join(' '),
      when: { cron: '30 2 * * *' },
      overlap: 'skip',
      catchUp: 3_600_000,
      paused: false,
      error: null,
    });
    expect(made['next']).toHaveLength(5);

    scene.hub('new').set({ startDelay: 1_000 });
    expect(await object('trigger', 'nightly')).toMatchObject({ code: 0, outcome: 'done' });
    // The same command by hand attaches to the run that the schedule started.
    const attached = await scene.json(...migrate);
    expect(attached.stderr).toContain('attached to it');
    expect(attached).toMatchObject({ code: 0, report: { outcome: 'verified', schedule: 'nightly' } });
    const { run } = attached.report;
    await runEnded('nightly');

    expect((await schedule('list')).stdout).toMatch(/02:30:00 {2}verified {2}nightly\n {2}migrate old new/);
    expect(await object('show', 'nightly')).toMatchObject({
      code: 0,
      counts: { started: 1, missed: 0 },
      runs: [{ run, outcome: 'verified', retention: { removed: 0, kept: 2 } }],
    });
    expect((await schedule('pause', 'nightly', '--reason', 'holidays')).code).toBe(0);
    const paused = (await schedule('show', 'nightly')).stdout;
    expect(paused).toContain('paused: holidays');
    expect(paused).toContain('keeps snapshots of the newest 2 runs');
    expect(paused.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(await object('delete', 'nightly')).toMatchObject({
      code: 0,
      outcome: 'done',
      schedule: 'nightly',
    });
    expect(await object('show', 'nightly')).toMatchObject({ code: 1, error: { code: 'SCHEDULE_NOT_FOUND' } });
  },
  PATIENCE,
);

it('refuses on the spot what it would refuse each time', async () => {
  const refused = await object('create', 'n', '--every', '1d', '--', 'migrate', 'old', 'new', '--approve');
  expect(refused).toMatchObject({ code: 2, outcome: 'failed', error: { code: 'USAGE' } });
  const cron = await schedule('create', 'n', '--cron', '0 0 30 2 *', '--', 'snapshot', 'old');
  expect(cron).toMatchObject({ code: 2, stdout: '' });
  expect(cron.stderr).toContain('there is no such day');
});
