import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stopEmbedded } from '../../worker/embedded.js';
import { readLock } from '../../worker/lock.js';
import { until } from '../support/until.js';
import { allGone, EmbeddedStand, isGone } from './fixtures/embedded-stand.js';

let stand: EmbeddedStand;
beforeEach(() => {
  stand = new EmbeddedStand();
});
afterEach(async () => {
  await stand.remove();
});

const start: EmbeddedStand['start'] = (...args) => stand.start(...args);

describe('idle', () => {
  test('ends after its idle time and leaves no lock', async () => {
    const status = await start(stand.config, { idle: 1_000 });
    await until('all is gone', () => allGone(status));
    expect(readLock(stand.home)).toBeNull();
  });

  test('open runs and schedules keep it up; a hub’s waiting queue and a paused schedule do not', async () => {
    await start();
    await stand.openRun('migrate');
    await stand.openRun('hubQueue');
    await stand.withClient((client) =>
      client.schedule.create({
        scheduleId: 'nightly',
        spec: { intervals: [{ every: '1d' }] },
        action: { type: 'startWorkflow', workflowType: 'scheduled', taskQueue: 'nobody-listens' },
      }),
    );
    await stopEmbedded({ home: stand.home.folder });

    const status = await start(stand.config, { idle: 250 });
    // That it does not end shows only with time: three idle times each.
    await pause(750);
    expect((await stand.status())?.open).toMatchObject({ runs: 1, schedules: 1 });
    await stand.withClient((client) => client.workflow.getHandle('test/migrate').terminate());
    await pause(750);
    expect((await stand.status())?.open).toMatchObject({ runs: 0, schedules: 1 });
    await stand.withClient((client) => client.schedule.getHandle('nightly').pause());
    await until('all is gone', () => allGone(status));
  });

  test('ends when its folder is removed', async () => {
    const status = await start(stand.config, { idle: 1_000 });
    rmSync(stand.home.folder, { recursive: true, maxRetries: 20 });
    await until('all is gone', () => allGone(status));
  });
});

describe('down', () => {
  test('ends all three processes; a second one finds nothing', async () => {
    const status = await start();
    expect(await stopEmbedded({ home: stand.home.folder })).toEqual({ outcome: 'stopped', openRuns: 0 });
    expect(allGone(status)).toBe(true);
    expect(readLock(stand.home)).toBeNull();
    const again = await stopEmbedded({ home: stand.home.folder });
    expect(again).toEqual({ outcome: 'not running', openRuns: null });
  });

  test('says how many runs are open; they go on at the next start', async () => {
    await start();
    await stand.openRun();
    expect(await stopEmbedded({ home: stand.home.folder })).toEqual({ outcome: 'stopped', openRuns: 1 });
    expect((await start()).open).toMatchObject({ runs: 1 });
  });

  test('ends a server that a killed supervisor left behind', async () => {
    const status = await start();
    process.kill(status.pid, 'SIGKILL');
    await until('the supervisor is gone', () => isGone(status.pid));
    expect(await stopEmbedded({ home: stand.home.folder })).toMatchObject({ outcome: 'stopped' });
    expect(allGone(status)).toBe(true);
  });
});

test('files and folder are for their owner only', async () => {
  mkdirSync(stand.home.folder, { mode: 0o755 });
  await start();
  expect(statSync(stand.home.folder).mode & 0o777).toBe(0o700);
  const modes = readdirSync(stand.home.folder).map((name) => [
    name,
    (statSync(join(stand.home.folder, name)).mode & 0o777).toString(8),
  ]);
  expect(modes.length).toBeGreaterThan(4);
  for (const [name, mode] of modes) expect([name, mode]).toEqual([name, '600']);
});
