import { describe, expect, it } from 'vitest';
import { manyAtOnce } from '../../activities/many.js';

const numbers = Array.from({ length: 40 }, (_, n) => n);

/** Ends when all that is due now is done. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('many at once', () => {
  it('are done some at a time, and their results stand in order', async () => {
    let open = 0;
    let most = 0;
    const results = await manyAtOnce(numbers, async (n) => {
      open += 1;
      most = Math.max(most, open);
      // Later ones end before earlier ones.
      for (let turns = n % 5; turns >= 0; turns -= 1) await turn();
      open -= 1;
      return 2 * n;
    });
    expect(results).toEqual(numbers.map((n) => 2 * n));
    expect(most).toBe(8);
  });

  it('end with the first failure, and none is begun after it', async () => {
    const begun: number[] = [];
    const failing = manyAtOnce(numbers, async (n) => {
      begun.push(n);
      await turn();
      if (n === 9) throw new Error(`no ${n}`);
    });
    await expect(failing).rejects.toThrow('no 9');
    const soFar = begun.length;
    for (let turns = 0; turns < 100; turns += 1) await turn();
    expect(begun).toHaveLength(soFar);
    expect(soFar).toBeLessThan(numbers.length);
  });
});
