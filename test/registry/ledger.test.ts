import { expect, test } from 'vitest';
import { emptyLedger, imbalances, type Ledger, verifyImbalances } from '../../registry/ledger.js';

const balanced: Ledger = {
  source: 20,
  system: 2,
  filtered: 3,
  refused: 1,
  desired: 14,
  unchanged: 4,
  kept: 1,
  create: 6,
  update: 3,
  delete: 2,
  applied: 8,
  rejected: 1,
  uncertain: 1,
  unsent: 1,
};
const verified = { compared: 14, match: 11, kept: 1, different: 1, missing: 1, extra: 7 };

test('an empty ledger balances', () => {
  expect(imbalances(emptyLedger())).toStrictEqual([]);
  expect(Object.values(emptyLedger()).every((count) => count === 0)).toBe(true);
  expect(emptyLedger()).not.toBe(emptyLedger());
});

test('a balanced ledger has nothing to say', () => {
  expect(imbalances(balanced)).toStrictEqual([]);
  expect(verifyImbalances(balanced, verified)).toStrictEqual([]);
});

test.each(Object.entries(balanced))('one %s too many is told', (name, count) => {
  const ledger = { ...balanced, [name]: count + 1 };
  expect(imbalances(ledger)).not.toStrictEqual([]);
});

test.each(['compared', 'match', 'kept', 'different', 'missing'] as const)(
  'one %s too many is told',
  (name) => {
    expect(verifyImbalances(balanced, { ...verified, [name]: verified[name] + 1 })).not.toStrictEqual([]);
  },
);

test('extra records are in no equation', () => {
  expect(verifyImbalances(balanced, { ...verified, extra: 0 })).toStrictEqual([]);
});

test('the sentences show the numbers', () => {
  expect(imbalances({ ...balanced, applied: 7 })).toStrictEqual([
    'create (6) + update (3) + delete (2) is not applied (7) + rejected (1) + uncertain (1) + unsent (1).',
  ]);
  expect(verifyImbalances({ ...balanced, desired: 15 }, verified)).toStrictEqual([
    'desired (15) is not match (11) + kept (1) + different (1) + missing (1).',
  ]);
});

test('what is no count is told, even where the sums hold', () => {
  expect(imbalances({ ...balanced, applied: 10, unsent: -1 })).toStrictEqual([
    'unsent is -1, which is no count.',
  ]);
  expect(imbalances({ ...balanced, applied: Number.NaN }).length).toBeGreaterThan(0);
});
