import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // The SDK's native bridge crashes under vitest's threads once a suite grows; each file gets a process.
    pool: 'forks',
    // Most tests wait for processes and timers, so that two cores are busy with three at a time; vitest's default there
    // is one.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
