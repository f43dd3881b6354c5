import { defineConfig } from 'vitest/config';
import usual from './vitest.config.js';

const { projects: _light, ...test } = usual.test ?? {};

/** What takes too long for `npm test`: `npm run test:long`. */
export default defineConfig({
  test: {
    ...test,
    globalSetup: ['test/support/global-setup.ts'],
    include: ['test/long/**/*.long.ts'],
    maxWorkers: 2,
  },
});
