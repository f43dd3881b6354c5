import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStand, type Stand } from '../../demo/stand.js';
import type { RunReport } from '../../workflows/messages.js';
import { packedPackage } from '../e2e/packed.js';
import { FAST } from '../e2e/scene.js';
import { until } from '../support/until.js';

const PATIENCE = 120_000;

let stand: Stand;
beforeAll(async () => {
  const { main } = await packedPackage();
  const command = [process.execPath, main] as const;
  stand = await openStand({ hubs: [{ name: 'scratch' }], seed: 5, settings: FAST, command });
  const text = readFileSync(stand.configFile, 'utf8');
  writeFileSync(stand.configFile, text.replace(/^ {2}scratch: \{/m, '$& role: scratch,'));
}, 180_000);
afterAll(() => stand.close());

it(
  'a probe goes on when its worker is killed in the middle, and leaves nothing',
  async () => {
    const hub = stand.simulator.hub('scratch');
    hub.set({ startDelay: 1_500 });
    const worker = await stand.worker(['--sticky', '1']);
    const { ended } = stand.cli(['check', '--probe', 'scratch', '--json', '--config', stand.configFile]);
    await until('the second import', () => hub.jobs.list().length === 2, PATIENCE);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    expect([...hub.dump()].length).toBeGreaterThan(0);
    await stand.worker(['--sticky', '1']);
    const { code, stdout } = await ended;
    const { outcome, error, probe = [] } = JSON.parse(stdout) as RunReport;
    expect({ code, outcome, error }).toEqual({ code: 0, outcome: 'done', error: null });
    expect(probe.length).toBeGreaterThan(10);
    expect([...hub.dump()]).toEqual([]);
  },
  PATIENCE,
);
