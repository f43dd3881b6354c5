import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { RangeCutter, type SnapshotRange } from '../../activities/ranges.js';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function rangesOf(bytes: Buffer, least: number, chunks: readonly number[]): SnapshotRange[] {
  const cutter = new RangeCutter(least);
  let at = 0;
  for (const size of chunks) {
    cutter.add(bytes.subarray(at, at + size));
    at += size;
  }
  cutter.add(bytes.subarray(at));
  return cutter.close();
}

it('cuts where lines end, whatever chunks the bytes come in', () => {
  const lines = fc.array(
    fc.string({ maxLength: 30 }).map((text) => text.replaceAll('\n', ' ')),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(
      lines,
      fc.boolean(),
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 60 }),
      (texts, ended, least, chunks) => {
        const bytes = Buffer.from(texts.join('\n') + (ended ? '\n' : ''));
        const ranges = rangesOf(bytes, least, chunks);
        let offset = 0;
        for (const [n, range] of ranges.entries()) {
          const part = bytes.subarray(offset, offset + range.bytes);
          expect(range).toEqual({ offset, bytes: part.length, sha256: sha256(part) });
          offset += range.bytes;
          if (n === ranges.length - 1) continue;
          expect(part.at(-1)).toBe(0x0a);
          // It is no longer than it has to be.
          expect(part.length).toBeGreaterThanOrEqual(least);
          expect(part.subarray(0, -1).lastIndexOf(0x0a) + 1).toBeLessThan(least);
        }
        expect(offset).toBe(bytes.length);
      },
    ),
    { seed: 20_261_128, numRuns: 500 },
  );
});

it('an empty snapshot is one empty range', () => {
  expect(rangesOf(Buffer.alloc(0), 10, [])).toEqual([
    { offset: 0, bytes: 0, sha256: sha256(Buffer.alloc(0)) },
  ]);
});
