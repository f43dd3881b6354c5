import { MockActivityEnvironment } from '@temporalio/testing';
import { array, assert, asyncProperty, constantFrom, integer, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LineOptions, lineBatches } from '../../activities/lines.js';

/** What a stream of these bytes is read as, cut into chunks of a size. */
async function read(
  bytes: Buffer,
  chunk: number,
  options: Partial<LineOptions> = {},
): Promise<{ text: string | null; offset: number; problem?: string }[]> {
  async function* stream(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  }
  const lines: { text: string | null; offset: number; problem?: string }[] = [];
  await new MockActivityEnvironment().run(async () => {
    for await (const batch of lineBatches(stream(), { maxLineBytes: 100, ...options }))
      for (const { text, offset, problem } of batch)
        lines.push(problem === null ? { text, offset } : { text, offset, problem });
  });
  return lines;
}

describe('lines', () => {
  it('are the same however the stream is cut, with LF and CRLF, with and without a last line end', async () => {
    const unit = constantFrom<'grapheme' | 'grapheme-ascii'>('grapheme', 'grapheme-ascii');
    const text = unit
      .chain((of) => string({ unit: of, maxLength: 12 }))
      .map((line) => line.replaceAll(/[\r\n]/g, ''));
    await assert(
      asyncProperty(
        array(text, { maxLength: 12 }),
        constantFrom('\n', '\r\n'),
        integer({ min: 1, max: 9 }),
        constantFrom(1, 20, undefined),
        async (lines, end, chunk, batchBytes) => {
          const bytes = Buffer.from(lines.join(end));
          const found = await read(bytes, chunk, batchBytes === undefined ? {} : { batchBytes });
          expect(found.map((line) => line.text)).toEqual(
            lines.filter((line) => line !== '').map((line) => Buffer.from(line).toString()),
          );
          for (const { text: line, offset } of found) {
            expect(
              bytes
                .subarray(offset)
                .toString()
                .startsWith(line ?? '?'),
            ).toBe(true);
          }
        },
      ),
    );
  });

  it.each([1, 64, 100_000])(
    'that are too long keep their place only, %i bytes at once',
    async (batchBytes) => {
      const bytes = Buffer.from(`a\n${'x'.repeat(101)}\n${'y'.repeat(100)}\r\nb`);
      expect(await read(bytes, 7, { batchBytes })).toEqual([
        { text: 'a', offset: 0 },
        { text: null, offset: 2, problem: 'too long' },
        { text: 'y'.repeat(100), offset: 104 },
        { text: 'b', offset: 206 },
      ]);
    },
  );

  it('that are no UTF-8 keep their place only, unless that does not matter', async () => {
    const torn = Buffer.concat([Buffer.from('a\n{"é'), Buffer.from([0xc3]), Buffer.from('\nb')]);
    expect(await read(torn, 3)).toEqual([
      { text: 'a', offset: 0 },
      { text: null, offset: 2, problem: 'not UTF-8' },
      { text: 'b', offset: 8 },
    ]);
    expect((await read(torn, 3, { lenient: true }))[1]).toEqual({ text: '{"é\uFFFD', offset: 2 });
  });
});
