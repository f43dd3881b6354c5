import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { betweenChunks, cleanUp, importRuns, jobUnnoted, plan, transform, verify } from './moments.js';
import { type Moment, openScene, PATIENCE, type Scene, type Victim } from './scene.js';

interface Crash {
  readonly victim: Victim;
  readonly moment: Moment;
  /** What the report must say of it. */
  readonly warnings?: readonly string[];
}

/** Who is killed with SIGKILL, and when. */
const CRASHES: readonly Crash[] = [
  { victim: 'worker', moment: transform },
  { victim: 'worker', moment: plan },
  { victim: 'worker', moment: jobUnnoted, warnings: ['JOB_ADOPTED'] },
  { victim: 'worker', moment: importRuns },
  { victim: 'worker', moment: betweenChunks },
  { victim: 'worker', moment: verify },
  { victim: 'worker', moment: cleanUp },
  { victim: 'server', moment: importRuns },
  { victim: 'cli', moment: importRuns },
];

/** Half of a case is waiting until somebody is taken for dead, so two run side by side, each with its own processes. */
const LANES = 2;

for (let lane = 0; lane < LANES; lane++) {
  describe.concurrent('a migration ends verified, with one job per chunk, when', () => {
    let scene: Scene | undefined;
    beforeAll(async () => {
      scene = await openScene();
    }, PATIENCE);
    afterAll(() => scene?.close());

    for (const { victim, moment, warnings = [] } of CRASHES.filter((_, index) => index % LANES === lane)) {
      it.sequential(
        `the ${victim} is killed while ${moment.name}`,
        async () => {
          const report = await scene?.survives(victim, moment);
          expect(report?.warnings.map(({ code }) => code)).toEqual(expect.arrayContaining([...warnings]));
        },
        PATIENCE,
      );
    }
  });
}
