import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // The SDK's native bridge crashes under vitest's threads once a suite grows; each file gets a process.
    pool: 'forks',
    // Most tests wait for processes and timers, so two at a time are nearly twice as fast on two cores; vitest's default
    // there is one.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
