import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests of modules that keep nothing: they share a process, so that modules are loaded once. */
const light = ['registry', 'simulator', 'client', 'config', 'docs', 'azure', 'report'];

/** The servers of the other two: `stack`, and `cases`, which has too many whole runs for `npm test`. */
const globalSetup = ['test/support/global-setup.ts'];

/** Short files with long tests. Without the times of an earlier run vitest begins with the largest files. */
const LONG = /\/test\/(?:chaos|crash|e2e)\/|\/test\/cases\/(?:whole-fleet|\w+-model)\./;

/** Long files first, so that none of them is left alone with one processor at the end. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- it is vitest's, and gives a new list
    const sorted = await super.sort(files);
    const isFirst = ({ project, moduleId }: TestSpecification): boolean =>
      project.name === 'light' || LONG.test(moduleId);
    return [...sorted.filter(isFirst), ...sorted.filter((file) => !isFirst(file))];
  }
}

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
    sequence: { sequencer: LongFirst },
    projects: [
      {
        extends: true,
        test: { name: 'light', include: [`test/{${light.join(',')}}/**/*.test.ts`], isolate: false },
      },
      {
        extends: true,
        test: {
          name: 'stack',
          globalSetup,
          include: ['test/**/*.test.ts'],
          exclude: [...light, 'cases'].map((folder) => `test/${folder}/**`),
        },
      },
      {
        extends: true,
        test: { name: 'cases', globalSetup, include: ['test/cases/**/*.test.ts'] },
      },
    ],
  },
});
