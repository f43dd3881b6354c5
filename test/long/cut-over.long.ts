import { afterAll, beforeAll, expect, it } from 'vitest';
import { openScene, type Scene } from '../e2e/scene.js';

const PATIENCE = 120_000;

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
}, 180_000);
afterAll(() => scene.close());

it(
  'follows a source until somebody lets the target take over, and gives it back',
  async () => {
    scene.hub('old').load([{ deviceId: 'on' }, { deviceId: 'off', status: 'disabled' }]);
    const refused = await scene.json('migrate', 'old', 'new', '--follow', '--existing', 'skip');
    expect(refused).toMatchObject({ code: 2, report: { error: { code: 'USAGE' } } });
    const ready = await scene.hubferry('migrate', 'old', 'new', '--follow', '--disable-source');
    expect(ready.code).toBe(3);
    expect(ready.stdout).toContain('parked: it is ready for the cut-over');
    const [run, plan] = /hubferry approve (\S+) (\S+)/.exec(ready.stdout)?.slice(1) ?? [];
    const early = await scene.json('cut-back', run ?? '');
    expect(early).toMatchObject({ code: 1, report: { error: { code: 'NOT_PARKED' } } });
    const over = await scene.hubferry('approve', run ?? '', plan ?? '');
    expect(over.code).toBe(3);
    expect(over.stdout).toMatch(/ {2}source disabled by run \S+, 1 devices/);
    expect(scene.hub('old').record('on')).toMatchObject({ status: 'disabled' });
    const back = await scene.hubferry('cut-back', run ?? '');
    expect(back.code).toBe(4);
    expect(back.stdout).toContain('cancelled: cut back, as was asked for');
    for (const name of ['old', 'new'])
      expect(scene.hub(name).record('on')).toMatchObject({ status: 'enabled' });
  },
  PATIENCE * 2,
);
