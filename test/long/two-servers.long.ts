import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readOwner } from '../../azure/owners.js';
import { openStorage } from '../../azure/storage.js';
import { loadConfig, storageOf } from '../../config/index.js';
import { openStand, type Stand } from '../../demo/stand.js';
import { generateFleet } from '../../simulator/index.js';
import { type DevServer, startDevServer } from '../../worker/dev-server.js';
import { findServer } from '../../worker/server-binary.js';
import { FAST, resultOf } from '../e2e/scene.js';
import { compiledCommand } from '../support/compiled.js';
import { essence } from '../support/stand.js';
import { until } from '../support/until.js';

const PATIENCE = 300_000;

let stand: Stand;
let second: DevServer;
beforeAll(async () => {
  const { path: binary } = await findServer();
  stand = await openStand({
    command: compiledCommand('client/main'),
    hubs: [{ name: 'old' }, { name: 'new' }],
    seed: 5,
    settings: FAST,
  });
  second = await startDevServer({ binary, fastTimers: true });
  await stand.worker();
}, PATIENCE);
afterAll(async () => {
  await stand.close();
  await second.stop();
});

it(
  'of two Temporal servers one writes to a target; what the lost one left is removed by the other',
  async () => {
    const [source, target] = ['old', 'new'].map((name) => stand.simulator.hub(name));
    const storage = openStorage(storageOf(loadConfig({ path: stand.configFile })));
    const thereFile = join(stand.folder, 'second.yaml');
    const text = readFileSync(stand.configFile, 'utf8');
    writeFileSync(thereFile, text.replace(stand.temporal.address, second.address));
    await stand.worker(['--config', thereFile]);
    const here = async (...args: string[]) => await stand.cli(args).ended;
    const there = async (...args: string[]) => await stand.cli([...args, '--config', thereFile]).ended;
    const json = async (...args: string[]) => resultOf(await there(...args, '--json'));

    source?.load(generateFleet({ devices: 20, seed: 1, plain: true }));
    const waiting = ['--set', 'settings.settle=1h', '--detach', '--json'];
    const { run, target: host } = resultOf(await here('migrate', 'old', 'new', ...waiting)).report;
    const arrived = (): boolean => Object.keys(essence(target?.dump() ?? [])).length === 20;
    await until('it has written', arrived, PATIENCE);
    expect((await readOwner(storage, host ?? ''))?.owner?.run).toBe(run);

    const busy = await json('migrate', 'old', 'new');
    expect(busy).toMatchObject({ code: 1, report: { jobs: [], error: { code: 'TARGET_BUSY' } } });
    expect(busy.report.error?.message).toContain(`Run ${run} (migrate) of the Temporal server`);
    expect((await json('gc')).report).toMatchObject({ removed: false, remove: [], stayed: [] });

    stand.temporal.kill();
    await stand.temporal.exited;
    expect(await json('migrate', 'old', 'new')).toMatchObject({ code: 1 });
    const unasked = await here('gc');
    expect(unasked).toMatchObject({ code: 1, stdout: '' });
    expect(unasked.stderr).toContain('TEMPORAL_UNREACHABLE');

    const shown = await there('gc', '--run', run);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain(`run ${run}: its run is said to be lost`);
    expect(shown.stdout).toContain(`hold on    ${host}`);
    expect(shown.stdout).toContain('Nothing was removed; --yes removes it.');
    const removed = await there('gc', '--run', run, '--yes');
    expect(removed.stdout).toMatch(/^Removed: (\d+) of \1\.$/m);
    expect((await there('gc', '--run', run)).stdout).toBe('Nothing is left behind.\n');

    expect(await json('migrate', 'old', 'new')).toMatchObject({ code: 0, report: { outcome: 'verified' } });
  },
  PATIENCE,
);
