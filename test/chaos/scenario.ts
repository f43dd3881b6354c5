import { afterAll, beforeAll, expect, it } from 'vitest';
import { judge } from './judge.js';
import { type Lane, openLane } from './lane.js';
import { type Mix, wordsOf } from './mix.js';

/** Opening a lane takes seconds, a mix some more; a machine that does other work too takes far longer. */
const PATIENCE = 400_000;

/** Plays these mixes one after the other; each has to come out right. */
export function plays(mixes: readonly Mix[]): void {
  let lane: Lane | undefined;
  beforeAll(async () => {
    lane = await openLane();
  }, PATIENCE);
  afterAll(() => lane?.close());

  it.each(mixes.map((mix) => [mix.seed, wordsOf(mix), mix] as const))(
    'seed %i: %s',
    async (_seed, _words, mix) => {
      const seen = await lane?.play(mix, PATIENCE);
      expect(seen && judge(seen)).toEqual({ grade: 'right', faults: [] });
    },
    PATIENCE + 60_000,
  );
}
