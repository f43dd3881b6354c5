import { defineConfig } from 'vitest/config';

/** Pages in a real browser: `npm run test:browser`, which sees to it that there is one. */
export default defineConfig({
  test: {
    pool: 'forks',
    include: ['test/browser/**/*.browser.ts'],
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
