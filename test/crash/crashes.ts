import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Moment, openScene, PATIENCE, type Scene, type Victim } from './scene.js';

/** Who is killed with SIGKILL, and when. */
export interface Crash {
  readonly victim: Victim;
  readonly moment: Moment;
  /** What the report must say of it. */
  readonly warnings?: readonly string[];
}

/** Half of a case is waiting until somebody is taken for dead, so two run side by side, each with its own processes. */
const LANES = 2;

/** One migration for each crash; all must end verified. */
export function crashes(all: readonly Crash[]): void {
  for (let lane = 0; lane < LANES; lane++) {
    describe.concurrent('a migration ends verified, with one job per chunk, when', () => {
      let scene: Scene | undefined;
      beforeAll(async () => {
        scene = await openScene();
      }, PATIENCE);
      afterAll(() => scene?.close());

      for (const { victim, moment, warnings = [] } of all.filter((_, index) => index % LANES === lane)) {
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
}
