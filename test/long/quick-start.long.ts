import { afterAll, beforeAll, expect, it } from 'vitest';
import { read } from '../docs/pages.js';
import { openWalk, type Walk } from '../e2e/walk.js';

const PATIENCE = 120_000;

let walk: Walk;
beforeAll(async () => {
  walk = await openWalk();
}, 180_000);
afterAll(() => walk.close());

it(
  'the quick start works as it is written',
  async () => {
    const [install = '', storage = '', simulator = '', configure = '', ...rest] =
      walk.commands('docs/quick-start.md');
    const { name, version, devDependencies, scripts } = JSON.parse(read('package.json')) as {
      name: string;
      version: string;
      devDependencies: Record<string, string>;
      scripts: Record<string, string>;
    };
    // What a test cannot do for everybody: install, and listen at Azurite's own port.
    expect(install.split('\n')).toContain(`npm install --global ./${name}-${version}.tgz`);
    expect(scripts['prepack']).toBe('npm run build');
    expect(storage).toMatch(/^npx azurite /);
    expect(devDependencies).toHaveProperty('azurite');

    await walk.serve(simulator, 'ready');
    await walk.configure(configure);
    const printed = await walk.run(rest.join('\n'));
    expect(printed).toContain('checks passed.');
    expect(printed).toContain('planned: nothing was written');
    expect(printed.match(/verified: every record arrived/g)).toHaveLength(4);
    expect(printed).toContain('verified: all is as before the run');
    expect(printed).toContain('Stopped.');
  },
  PATIENCE,
);
