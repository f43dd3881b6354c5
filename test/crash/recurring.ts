import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { readReports } from '../../client/runs.js';
import { describeSchedule, pauseSchedule, type ScheduleDetails } from '../../client/schedules.js';
import { loadConfig } from '../../config/index.js';
import { openStand } from '../../demo/stand.js';
import { generateFleet } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import { type RunReport, scheduleIdOf } from '../../workflows/messages.js';
import { packedPackage } from '../e2e/packed.js';
import { until } from '../support/until.js';

/** A schedule of snapshots that take longer than its interval, through outages. Times in ms. */
export interface Recurring {
  readonly every: number;
  /** How long the hub lets each job wait. */
  readonly job: number;
  /** From when, after the schedule was made, and for how long server and worker are dead. */
  readonly outage: { readonly from: number; readonly lasts: number };
  /** A second outage, with a catch-up window so short that times are missed for good. */
  readonly beyond?: { readonly from: number; readonly lasts: number; readonly window: number };
  /** It goes on for so long at least, and until so many runs have started. */
  readonly total: number;
  readonly runs: number;
}

const SETTINGS =
  '{ settle: 20ms, heartbeat: 2s, slotWait: 50ms, poll: { first: 20ms, max: 200ms }, edgePoll: 50ms, rates: 1000 }';

const PATIENCE = 60_000;

/** How a schedule came through. */
export interface Through {
  readonly runs: readonly RunReport[];
  readonly schedule: ScheduleDetails;
}

/** Proves: no two runs at a time, a report with an outcome for each that was started, and no time without a count. */
export async function recurs({
  every,
  job,
  outage,
  beyond,
  total,
  runs: least,
}: Recurring): Promise<Through> {
  const packed = await packedPackage();
  const stand = await openStand({
    command: [process.execPath, packed.main],
    hubs: [{ name: 'old' }],
    seed: 3,
    settings: SETTINGS,
  });
  let worker = await stand.worker(['--sticky', '0.5']);
  const { client, connection } = await connectClient({
    address: stand.temporal.address,
    namespace: 'default',
  });
  const details = (): Promise<ScheduleDetails> => describeSchedule(client, 'often');
  try {
    const hub = stand.simulator.hub('old');
    hub.load(generateFleet({ devices: 5, seed: 1, plain: true }));
    hub.set({ startDelay: job });
    const config = ['--config', stand.configFile];
    const when = ['--every', `${every / 1000}s`];
    const create = stand.cli(['schedule', 'create', 'often', ...when, ...config, '--', 'snapshot', 'old']);
    expect(await create.ended).toMatchObject({ code: 0 });
    const made = Date.now();
    const sleepUntil = (moment: number): Promise<void> => pause(Math.max(0, made + moment - Date.now()));
    const die = async ({ from, lasts }: Recurring['outage']): Promise<void> => {
      await sleepUntil(from);
      worker.kill('SIGKILL');
      stand.temporal.kill();
      await pause(lasts);
      await stand.restartTemporal();
      worker = await stand.worker(['--sticky', '0.5']);
    };
    await die(outage);
    if (beyond) {
      await sleepUntil(beyond.from - 1_000);
      expect((await until('it answers', details, PATIENCE)).counts.missed).toBe(0);
      await client.schedule.getHandle(scheduleIdOf('often')).update(({ policies, ...same }) => ({
        ...same,
        policies: { ...policies, catchupWindow: beyond.window },
      }));
      await die(beyond);
    }
    await sleepUntil(total);
    await until('enough runs', async () => (await details()).counts.started >= least, PATIENCE);
    await pauseSchedule(client, 'often', 'seen enough');
    const end = Date.now();
    const schedule = await until(
      'the last run has ended',
      async () => {
        const now = await details();
        return !now.running && now;
      },
      PATIENCE,
    );
    const reports = await readReports(loadConfig({ path: stand.configFile }), () => undefined);
    const runs = reports.filter(({ schedule: name }) => name === 'often').toReversed();

    expect(runs.map(({ outcome }) => outcome)).toEqual(runs.map(() => 'done'));
    expect(runs).toHaveLength(schedule.counts.started);
    for (const [n, run] of runs.entries())
      expect(Date.parse(run.started)).toBeGreaterThanOrEqual(Date.parse(runs[n - 1]?.ended ?? run.started));
    const shown = await stand.cli(['schedule', 'show', 'often', '--json', ...config]).ended;
    const newest = runs.toReversed().slice(0, 10);
    expect((JSON.parse(shown.stdout) as { runs: RunReport[] }).runs).toMatchObject(
      newest.map(({ run, outcome }) => ({ run, outcome })),
    );
    // Each time that was due is counted in one way; the one beside the end in either.
    const due = Math.floor(end / every) - Math.floor(made / every);
    const { started, skippedByOverlap, missed } = schedule.counts;
    expect(Math.abs(started + skippedByOverlap + missed - due)).toBeLessThanOrEqual(1);
    return { runs, schedule };
  } finally {
    await connection.close();
    await stand.close();
  }
}
