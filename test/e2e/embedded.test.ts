import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { type EmbeddedStatus, embeddedStatus } from '../../worker/embedded.js';
import { freePort } from '../../worker/port.js';
import type { RunReport } from '../../workflows/messages.js';
import { essence } from '../support/stand.js';
import { until } from '../support/until.js';
import { type Ended, type Started, start } from './packed.js';
import { openScene, type Scene } from './scene.js';

const PATIENCE = 120_000;

let scene: Scene;
/** The same hubs and storage, without `temporal:`. */
let config: string;
/** Where its worker serves metrics. */
let metricsPort: number;
beforeAll(async () => {
  scene = await openScene();
  const text = readFileSync(scene.stand.configFile, 'utf8');
  metricsPort = await freePort();
  const embedded = text.replace(/^temporal: .*\n/m, '');
  config = scene.config(
    'embedded.yaml',
    embedded.replace(/^settings: \{/m, `$& metricsPort: ${metricsPort},`),
  );
}, 180_000);
afterAll(async () => {
  await hubferry('down').ended;
  await scene.close();
});

const hubferry = (...args: readonly string[]): Started =>
  start([process.execPath, scene.packed.main], args, {
    cwd: scene.stand.folder,
    env: { ...scene.stand.env, HUBFERRY_FAST_TIMERS: '1' },
  });

const object = ({ stdout }: Ended): Record<string, unknown> => JSON.parse(stdout) as Record<string, unknown>;

const running = (): Promise<EmbeddedStatus | null> =>
  embeddedStatus({ home: scene.stand.env['HUBFERRY_HOME'] ?? '' });

it(
  'a run goes on when its supervisor is killed under the command that follows it',
  async () => {
    scene.hub('old').load(generateFleet({ devices: 40, seed: 1 }));
    scene.hub('new').set({ startDelay: 2_000 });
    const up = object(await hubferry('up', '--config', config, '--json').ended);
    expect(up).toMatchObject({ outcome: 'done', error: null, state: 'ready', open: { runs: 0 } });

    const { ended } = hubferry('migrate', 'old', 'new', '--json', '--config', config);
    await until('an import waits at the hub', () =>
      scene
        .hub('new')
        .jobs.list()
        .some(({ type, status }) => type === 'import' && status === 'enqueued'),
    );
    process.kill(Number(up['pid']), 'SIGKILL');

    const { code, stdout } = await ended;
    const report = JSON.parse(stdout) as RunReport;
    expect({ code, outcome: report.outcome }).toEqual({ code: 0, outcome: 'verified' });
    expect(report.server).toMatch(/^embedded on /);
    expect(essence(scene.hub('new').dump())).toEqual(essence(scene.hub('old').dump()));
    expect((await running())?.pid).not.toBe(up['pid']);
    const metrics = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
    expect(await metrics.text()).toMatch(/^hubferry_runs_total\{.*outcome="verified".*\} 1$/m);
  },
  PATIENCE,
);

it(
  'a schedule says how long it lives, and keeps the server from being idle',
  async () => {
    const words = [
      'schedule',
      'create',
      'nightly',
      '--every',
      '1d',
      '--config',
      config,
      '--',
      'snapshot',
      'old',
    ];
    const create = await hubferry(...words).ended;
    expect(create).toMatchObject({ code: 0, stderr: '' });
    expect(create.stdout).toMatch(
      /^schedule nightly: snapshot old\n {2}every 1 d \(UTC\)\n {2}first time .* UTC\n/,
    );
    expect(create.stdout.replaceAll(/\s+/g, ' ')).toContain('stays up as long as a schedule is not paused');
    expect(create.stdout).toContain('hubferry down');
    expect((await running())?.open).toMatchObject({ runs: 0, schedules: 1 });
    const pause = await hubferry('schedule', 'pause', 'nightly', '--config', config).ended;
    expect(pause.code).toBe(0);
    expect((await running())?.open).toMatchObject({ schedules: 0 });
  },
  PATIENCE,
);

it(
  'up serves the web UI where that is asked for, and down says whether there was something to stop',
  async () => {
    expect(await running()).toMatchObject({ ui: null });
    const { ui } = object(await hubferry('up', '--ui', '--config', config, '--json').ended);
    expect((await fetch(String(ui))).status).toBe(200);
    const first = object(await hubferry('down', '--json').ended);
    expect(first).toEqual({ outcome: 'done', stopped: true, openRuns: 0, error: null });
    const second = object(await hubferry('down', '--json').ended);
    expect(second).toEqual({ outcome: 'done', stopped: false, openRuns: null, error: null });
  },
  PATIENCE,
);
