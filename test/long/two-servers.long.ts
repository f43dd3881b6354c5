import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readOwner } from '../../azure/owners.js';
import { generateFleet } from '../../simulator/index.js';
import { type DevServer, startDevServer } from '../../worker/dev-server.js';
import { findServer } from '../../worker/server-binary.js';
import { openScene, type Scene } from '../e2e/scene.js';
import { essence } from '../support/stand.js';
import { until } from '../support/until.js';

let scene: Scene;
let second: DevServer | undefined;
beforeAll(async () => {
  scene = await openScene();
}, 180_000);
afterAll(async () => {
  await second?.stop();
  await scene.close();
});

it('of two Temporal servers one writes to a target; what the lost one left is removed by the other', async () => {
  const { stand, hub } = scene;
  const { path: binary } = await findServer();
  second = await startDevServer({ binary, fastTimers: true });
  const text = readFileSync(stand.configFile, 'utf8').replace(stand.temporal.address, second.address);
  const there = ['--config', scene.config('second.yaml', text)];
  await stand.worker(there);

  hub('old').load(generateFleet({ devices: 20, seed: 1 }));
  const begun = await scene.json('migrate', 'old', 'new', '--set', 'settings.settle=1h', '--detach');
  const { run, target } = begun.report;
  await until('it has written', () => Object.keys(essence(hub('new').dump())).length >= 20);
  expect((await readOwner(scene.storage, target ?? ''))?.owner?.run).toBe(run);

  const busy = await scene.json('migrate', 'old', 'new', ...there);
  expect(busy).toMatchObject({ code: 1, report: { jobs: [], error: { code: 'TARGET_BUSY' } } });
  expect(busy.report.error?.message).toContain(`Run ${run} (migrate) of the Temporal server`);
  expect((await scene.json('gc', ...there)).report).toMatchObject({ removed: false, remove: [], stayed: [] });

  stand.temporal.kill();
  await stand.temporal.exited;
  expect(await scene.json('migrate', 'old', 'new', ...there)).toMatchObject({ code: 1 });
  const gone = await scene.hubferry('gc', '--config', stand.configFile);
  expect(gone).toMatchObject({ code: 1, stdout: '' });
  expect(gone.stderr).toContain('TEMPORAL_UNREACHABLE');

  const shown = await scene.hubferry('gc', '--run', run, ...there);
  expect(shown).toMatchObject({ code: 0 });
  expect(shown.stdout).toContain(`run ${run}: its run is said to be lost`);
  expect(shown.stdout).toContain(`hold on    ${target}`);
  expect(shown.stdout).toContain('Nothing was removed; --yes removes it.');
  const removed = await scene.hubferry('gc', '--run', run, '--yes', ...there);
  expect(removed.stdout).toMatch(/^Removed: (\d+) of \1\.$/m);
  expect((await scene.hubferry('gc', '--run', run, ...there)).stdout).toBe('Nothing is left behind.\n');

  const again = await scene.json('migrate', 'old', 'new', ...there);
  expect(again).toMatchObject({ code: 0, report: { outcome: 'verified' } });
  expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
}, 180_000);
