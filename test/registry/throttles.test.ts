import { expect, it } from 'vitest';
import { TIERS } from '../../config/model.js';
import { OPERATION_CLASSES, throttleOf } from '../../registry/throttles.js';
import { rateOf } from '../../simulator/index.js';

it('the throttles that are kept are those that the simulator has by a table of its own', () => {
  for (const operation of OPERATION_CLASSES)
    for (const tier of TIERS)
      for (const units of [1, 2, 9, 10, 11, 200]) {
        const theirs = rateOf(operation === 'twinWrites' ? 'twinUpdates' : operation, tier, units);
        expect
          .soft(throttleOf(operation, { tier, units }), `${operation} ${tier} ${units}`)
          .toEqual({ calls: theirs.amount, seconds: theirs.seconds });
      }
});

it('a part of a throttle may be used', () => {
  expect(throttleOf('registry', { tier: 'S1', units: 2, rates: 0.5 })).toEqual({ calls: 100, seconds: 60 });
  expect(throttleOf('twinReads', { tier: 'S1', units: 1, rates: 0.5 })).toEqual({ calls: 50, seconds: 1 });
});
