import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openWalk, type Walk } from '../e2e/walk.js';

const PATIENCE = 180_000;

let walk: Walk;
beforeAll(async () => {
  walk = await openWalk();
}, 180_000);
afterAll(() => walk.close());

it(
  'the migration guide works as it is written',
  async () => {
    const [, , simulator = '', configure = ''] = walk.commands('docs/quick-start.md');
    await walk.serve(simulator, 'ready');
    await walk.configure(configure);
    const printed = await walk.run(walk.commands('docs/migration-guide.md').join('\n'));
    expect(printed).toContain('planned: nothing was written');
    expect(printed.match(/verified: every record arrived/g)?.length).toBeGreaterThanOrEqual(4);
    expect(printed).toContain('verified: all is as before the run');
    expect(readFileSync(join(walk.folder, 'verify.json'), 'utf8')).toMatch(/^\{/);
  },
  PATIENCE,
);
