import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareWaves, cutChunks, isByRest, isEdgeWave, restWaveOf, waveOf } from '../../registry/waves.js';
import { SEEDED } from './arbitraries.js';
import { record, thrown } from './records.js';

test.each([
  [{ id: 'x' }, 3, 'devices'],
  [{ id: 'x', iotEdge: true }, 0, 'edge-0'],
  [{ id: 'x', iotEdge: true }, 12, 'edge-12'],
  [{ id: 'x', moduleId: 'm' }, 0, 'modules'],
  [{ id: 'x', moduleId: 'm', iotEdge: true }, 0, 'modules'],
])('waveOf %#', (parts, level, wave) => {
  expect(waveOf(record(parts), level)).toBe(wave);
  const byRest = restWaveOf(record(parts), level);
  expect(byRest).toBe(wave === 'modules' ? 'by-rest' : `by-rest-${wave}`);
  expect(isByRest(byRest) && !isByRest(wave) && !isEdgeWave(byRest)).toBe(true);
});

test('waves go parents first, by number and not by text', () => {
  const edges = ['edge-0', 'by-rest-edge-0', 'edge-1', 'edge-2', 'by-rest-edge-2', 'edge-10'];
  const late = ['devices', 'by-rest-devices', 'modules', 'module-updates', 'twins', 'by-rest', 'deletes'];
  const order = [...edges, ...late];
  expect(order.toSorted().toSorted(compareWaves)).toStrictEqual(order);
  expect(compareWaves('devices', 'devices')).toBe(0);
  expect(thrown(() => compareWaves('devices', 'edge-')).code).toBe('INTERNAL');
});

describe('cutChunks', () => {
  test('fills chunks over partitions', () => {
    expect(cutChunks('devices', [3, 0, 5], 4)).toStrictEqual([
      {
        wave: 'devices',
        number: 1,
        lines: 4,
        parts: [
          { partition: 0, fromLine: 0, lines: 3 },
          { partition: 2, fromLine: 0, lines: 1 },
        ],
      },
      { wave: 'devices', number: 2, lines: 4, parts: [{ partition: 2, fromLine: 1, lines: 4 }] },
    ]);
    expect(cutChunks('devices', [], 4)).toStrictEqual([]);
    expect(cutChunks('devices', [0, 0], 4)).toStrictEqual([]);
  });

  test.each([0, -1, 1.5, Number.NaN])('%d lines are no size of a chunk', (size) => {
    expect(() => cutChunks('devices', [1], size)).toThrow(RangeError);
  });

  test('takes every line once, in order, all chunks full but the last', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 40 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 15 }),
        (linesPerPartition, size) => {
          const chunks = cutChunks('modules', linesPerPartition, size);
          const taken = chunks.flatMap(({ parts }) =>
            parts.flatMap(({ partition, fromLine, lines }) =>
              Array.from({ length: lines }, (_, at) => [partition, fromLine + at]),
            ),
          );
          const all = linesPerPartition.flatMap((lines, partition) =>
            Array.from({ length: lines }, (_, at) => [partition, at]),
          );
          expect(taken).toStrictEqual(all);
          expect(chunks.map(({ number }) => number)).toStrictEqual(chunks.map((_, at) => at + 1));
          for (const [at, { lines, parts }] of chunks.entries()) {
            expect(lines).toBe(parts.reduce((sum, part) => sum + part.lines, 0));
            expect(lines).toBe(at < chunks.length - 1 ? size : all.length - size * (chunks.length - 1));
            expect(parts.every((part) => part.lines > 0)).toBe(true);
          }
        },
      ),
      SEEDED,
    );
  });
});
