import { expect, test } from 'vitest';
import { partitionCount, partitionOf } from '../../registry/partition.js';

test.each([
  [0, 100, 1],
  [1, 100, 1],
  [100, 100, 1],
  [101, 100, 2],
  [1_000, 2, 500],
  [1_000_000, 64, 500],
])('%i bytes in partitions of %i: %i', (bytes, size, count) => {
  expect(partitionCount(bytes, size)).toBe(count);
});

test('the hash never changes: files of runs under way are found by it', () => {
  const pinned = ['', 'a', 'pump-001', 'pump-002', "odd-:.+%_#*?!(),=@;$'", 'Łódź', '🙂'].map((id) => [
    id,
    partitionOf(id, 64),
    partitionOf(id, 1_000_003),
  ]);
  expect(pinned).toStrictEqual([
    ['', 11, 990307],
    ['a', 39, 14711],
    ['pump-001', 30, 351551],
    ['pump-002', 1, 2820],
    ["odd-:.+%_#*?!(),=@;$'", 8, 54343],
    ['Łódź', 38, 251951],
    ['🙂', 27, 996293],
  ]);
});

test('one partition takes all', () => {
  expect(partitionOf('anything', 1)).toBe(0);
});

test.each([
  ['numbered', (at: number) => `device-${String(at).padStart(6, '0')}`],
  ['bare numbers', String],
  ['last letter first', (at: number) => `${at}-sensor`],
  ['by site', (at: number) => `site-${at % 100}/unit-${Math.floor(at / 100)}`],
])('ids spread evenly: %s', (_, idOf) => {
  for (const partitions of [7, 16, 64]) {
    const counts = Array<number>(partitions).fill(0);
    const devices = 1000 * partitions;
    for (let at = 0; at < devices; at += 1) {
      const partition = partitionOf(idOf(at), partitions);
      counts[partition] = (counts[partition] ?? Number.NaN) + 1;
    }
    // Six standard deviations of a fair spread.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(6 * Math.sqrt(1000));
  }
});
