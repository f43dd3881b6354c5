import { defineConfig } from 'vitest/config';

/** Tests of modules that keep nothing: they share a process, so that modules are loaded once. */
const light = ['registry', 'simulator', 'client', 'config', 'docs', 'azure', 'report'];

export default defineConfig({
  test: {
    // The SDK's native bridge crashes under vitest's threads once a suite grows.
    pool: 'forks',
    // Most tests wait for processes and timers, so that two cores are busy with three at a time; vitest's default there
    // is one.
    maxWorkers: 3,
    // Far more than any test takes: two busy cores are shared with servers and processes.
    testTimeout: 90_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: 'light', include: [`test/{${light.join(',')}}/**/*.test.ts`], isolate: false },
      },
      {
        extends: true,
        test: {
          name: 'stack',
          globalSetup: ['test/support/global-setup.ts'],
          include: ['test/**/*.test.ts'],
          exclude: light.map((folder) => `test/${folder}/**`),
        },
      },
    ],
  },
});
