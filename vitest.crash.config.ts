import { defineConfig } from 'vitest/config';
import { LANES } from './test/crash/lanes.js';
import usual from './vitest.config.js';

const { projects: _light, ...test } = usual.test ?? {};

/** Every activity and every job of a hub, disturbed at every moment: `npm run test:crash`. */
export default defineConfig({
  test: {
    ...test,
    // One line for each case as it ends, so that a run that is stopped has said what it saw.
    reporters: ['verbose'],
    globalSetup: ['test/support/global-setup.ts'],
    include: ['test/crash/**/*.crash.ts'],
    maxWorkers: 1,
    maxConcurrency: LANES,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
