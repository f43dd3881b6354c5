import { randomBytes } from 'node:crypto';
import { array, assert, asyncProperty, integer, nat, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Key } from '../../azure/key-ring.js';
import {
  HEADER_BYTES,
  isSealed,
  Opener,
  plainBytes,
  Sealer,
  SealFault,
  sealed,
} from '../../azure/sealed-frames.js';

/** Small, so that little data makes many frames. */
const FRAME = 16;
const TAG = 16;
const KEY: Key = { id: 'k1', bytes: randomBytes(32) };
const find = (): Key => KEY;

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The plain bytes of a range of a sealed blob, as somebody reads it who has only ranges of it. */
async function opened(blob: Buffer, { offset = 0, count = Infinity, piece = 7 } = {}): Promise<Buffer> {
  const opener = new Opener(blob.subarray(0, HEADER_BYTES), blob.length, find);
  const range = opener.range(offset, count);
  const part = blob.subarray(range.offset, range.offset + range.count);
  const out: Buffer[] = [];
  for await (const plain of opener.open(pieces(part, piece), range)) out.push(plain);
  return Buffer.concat(out);
}

async function isBroken(blob: Buffer): Promise<boolean> {
  try {
    await opened(blob);
    return false;
  } catch (error) {
    if (error instanceof SealFault) return true;
    throw error;
  }
}

const seal = (plain: Buffer): Buffer => sealed(KEY, plain, FRAME);
const data = uint8Array({ maxLength: 5 * FRAME }).map((bytes) => Buffer.from(bytes));
const someFrames = uint8Array({ minLength: FRAME + 1, maxLength: 6 * FRAME }).map((bytes) =>
  Buffer.from(bytes),
);
const frameAt = (index: number): number => HEADER_BYTES + index * (FRAME + TAG);
/** All frames but the last, which may be shorter. */
const framesOf = (blob: Buffer): Buffer[] => {
  const frames: Buffer[] = [];
  for (let index = 0; frameAt(index) < blob.length; index++)
    frames.push(blob.subarray(frameAt(index), frameAt(index + 1)));
  return frames;
};
const withFrames = (blob: Buffer, frames: readonly Buffer[]): Buffer =>
  Buffer.concat([blob.subarray(0, HEADER_BYTES), ...frames]);

describe('a sealed blob', () => {
  it('opens to what was sealed, however it is cut into pieces, and tells its length by its own', async () => {
    const check = asyncProperty(data, integer({ min: 1, max: 100 }), async (plain, piece) => {
      const blob = seal(plain);
      expect(isSealed(blob)).toBe(true);
      expect(plainBytes(blob.length, FRAME)).toBe(plain.length);
      expect(await opened(blob, { piece })).toEqual(plain);
    });
    await assert(check, {
      examples: [
        [Buffer.alloc(0), 1],
        [Buffer.alloc(FRAME), 1],
        [Buffer.alloc(2 * FRAME), 1],
      ],
    });
  });

  it('opens range by range, past its end too', async () => {
    await assert(
      asyncProperty(data, nat(6 * FRAME), nat(6 * FRAME), async (plain, offset, count) => {
        const blob = seal(plain);
        expect(await opened(blob, { offset, count })).toEqual(plain.subarray(offset, offset + count));
      }),
    );
  });

  it('has nothing in common with another one of the same data', () => {
    const [a, b] = [seal(Buffer.alloc(40)), seal(Buffer.alloc(40))];
    expect(framesOf(a).filter((frame) => framesOf(b).some((other) => other.equals(frame)))).toEqual([]);
    expect(a.toString('latin1')).not.toContain('\0'.repeat(80));
  });

  it('names its key in clear, and nothing else of it', () => {
    const blob = sealed({ id: 'mine', bytes: Buffer.alloc(32, 'K') }, Buffer.from('secret content'));
    expect(blob.toString('latin1')).toContain('mine');
    expect(blob.toString('latin1')).not.toContain('KKKK');
    expect(blob.toString('latin1')).not.toContain('secret');
    const ids: string[] = [];
    const asked = (id: string): Key => {
      ids.push(id);
      return KEY;
    };
    expect(new Opener(blob, blob.length, asked).bytes).toBe(14);
    expect(ids).toEqual(['mine']);
    for (const id of ['', 'x'.repeat(65)]) expect(() => new Sealer({ ...KEY, id })).toThrow(RangeError);
  });

  it('opens with its own key only', async () => {
    const blob = sealed({ ...KEY, bytes: randomBytes(32) }, Buffer.from('x'), FRAME);
    expect(await isBroken(blob)).toBe(true);
  });
});

describe('it is seen that', () => {
  it('any bit was changed, in the header too', async () => {
    await assert(
      asyncProperty(data, nat(), nat(7), async (plain, at, bit) => {
        const blob = seal(plain);
        const place = at % blob.length;
        blob[place] = (blob[place] ?? 0) ^ (1 << bit);
        expect(await isBroken(blob)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('it was cut anywhere, or something was added', async () => {
    await assert(
      asyncProperty(
        data,
        nat(),
        uint8Array({ minLength: 1, maxLength: 3 * FRAME }),
        async (plain, at, more) => {
          const blob = seal(plain);
          expect(await isBroken(blob.subarray(0, at % blob.length))).toBe(true);
          expect(await isBroken(Buffer.concat([blob, more]))).toBe(true);
        },
      ),
    );
  });

  it('it was cut between two frames, from wherever it is read to the end', async () => {
    await assert(
      asyncProperty(someFrames, nat(), nat(7 * FRAME), async (plain, at, offset) => {
        const blob = seal(plain);
        const cut = blob.subarray(0, frameAt(1 + (at % (framesOf(blob).length - 1))));
        await expect(opened(cut, { offset })).rejects.toThrow(SealFault);
      }),
    );
  });

  it('frames were moved, doubled or left out', async () => {
    await assert(
      asyncProperty(someFrames, array(nat(), { minLength: 1, maxLength: 7 }), async (plain, order) => {
        const blob = seal(plain);
        const frames = framesOf(blob);
        const moved = order.map((at) => at % frames.length);
        const same = moved.length === frames.length && moved.every((at, index) => at === index);
        const other = withFrames(
          blob,
          moved.map((at) => frames[at] ?? Buffer.alloc(0)),
        );
        expect(await isBroken(other)).toBe(!same);
      }),
    );
  });

  it('a frame, or the header, is that of another blob of the same data', async () => {
    await assert(
      asyncProperty(someFrames, nat(), async (plain, at) => {
        const [a, b] = [seal(plain), seal(plain)];
        const mixed = framesOf(a);
        const place = at % mixed.length;
        mixed[place] = framesOf(b)[place] ?? Buffer.alloc(0);
        expect(await isBroken(withFrames(a, mixed))).toBe(true);
        expect(await isBroken(withFrames(b, framesOf(a)))).toBe(true);
      }),
    );
  });

  it('a frame is damaged before any byte of it is given', async () => {
    const blob = seal(Buffer.alloc(3 * FRAME, 'x'));
    blob[frameAt(1)] = (blob[frameAt(1)] ?? 0) ^ 1;
    const opener = new Opener(blob, blob.length, find);
    const range = opener.range(0);
    const given: Buffer[] = [];
    const read = async (): Promise<void> => {
      for await (const plain of opener.open(pieces(blob.subarray(range.offset), 5), range)) given.push(plain);
    };
    await expect(read()).rejects.toThrow(SealFault);
    expect(Buffer.concat(given)).toEqual(Buffer.alloc(FRAME, 'x'));
  });
});

it('no length is taken for that of another number of bytes', () => {
  assert(
    property(nat(10 * FRAME), (total) => {
      const bytes = plainBytes(total + HEADER_BYTES, FRAME);
      if (bytes !== null) expect(seal(Buffer.alloc(bytes)).length).toBe(total + HEADER_BYTES);
    }),
  );
});
