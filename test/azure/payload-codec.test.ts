import type { Payload } from '@temporalio/common';
import {
  array,
  assert,
  asyncProperty,
  dictionary,
  integer,
  nat,
  record,
  string,
  uint8Array,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeyRing, NO_KEYS, openKeyRing } from '../../azure/key-ring.js';
import { blindCodec, payloadCodec } from '../../worker/payload-codec.js';

const path = '/hubferry.yaml';
const key = (id: string, byte: number) => ({ id, key: Buffer.alloc(32, byte).toString('base64') });
const ringOf = (keyId: string | null, ...keys: ReturnType<typeof key>[]): Promise<KeyRing> =>
  openKeyRing({ path, keys, keyId });
const [k1, k2] = [key('k1', 1), key('k2', 2)];

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const json = (value: unknown): Payload => ({
  metadata: { encoding: bytes('json/plain') },
  data: bytes(JSON.stringify(value)),
});
/** Protobuf gives buffers, and an empty one for none. */
const plain = ({ metadata, data }: Payload): unknown => ({
  metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, [...value]])),
  data: [...(data ?? [])],
});
const payloads = record({
  metadata: dictionary(
    string({ minLength: 1 }).filter((name) => name !== '__proto__'),
    uint8Array({ maxLength: 20 }),
  ),
  data: uint8Array({ maxLength: 500 }),
});

/** The only one of a list. */
function only<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined || list.length !== 1) throw new Error('not one');
  return one;
}

describe('the payload codec', () => {
  it('gives back what it sealed, also after another key has come', async () => {
    const before = payloadCodec(await ringOf('k1', k1));
    const after = payloadCodec(await ringOf('k2', k1, k2));
    await assert(
      asyncProperty(array(payloads, { maxLength: 3 }), async (list) => {
        for (const codec of [before, after]) {
          const opened = await after.decode(await codec.encode(list));
          expect(opened.map(plain)).toEqual(list.map(plain));
        }
      }),
    );
  });

  it('shows nothing but the id of the key, and the same twice as two things', async () => {
    const codec = payloadCodec(await ringOf('k1', k1));
    const [one, two] = await codec.encode([json('old.azure-devices.net'), json('old.azure-devices.net')]);
    expect(one?.metadata).toEqual({ encoding: bytes('binary/encrypted'), 'key-id': bytes('k1') });
    expect(Buffer.from(one?.data ?? []).toString('latin1')).not.toContain('azure');
    expect(one?.data).not.toEqual(two?.data);
  });

  it('opens nothing that was changed', async () => {
    const codec = payloadCodec(await ringOf('k1', k1, k2));
    await assert(
      asyncProperty(payloads, nat(), integer({ min: 1, max: 255 }), async (payload, at, flip) => {
        const sealed = only(await codec.encode([payload]));
        const data = Buffer.from(sealed.data ?? []);
        data[at % data.length] = (data[at % data.length] ?? 0) ^ flip;
        await expect(codec.decode([{ ...sealed, data }])).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
      }),
    );
    const sealed = only(await codec.encode([json(1)]));
    const as = (id: string): Payload => ({
      ...sealed,
      metadata: { ...sealed.metadata, 'key-id': bytes(id) },
    });
    await expect(codec.decode([as('k2')])).rejects.toMatchObject({
      code: 'KEY_MISMATCH',
      message: 'a payload in Temporal cannot be opened with key k2',
    });
    await expect(codec.decode([{ ...sealed, data: bytes('short') }])).rejects.toMatchObject({
      code: 'KEY_MISMATCH',
    });
    const same = payloadCodec(await ringOf(null, key('k2', 1)));
    await expect(same.decode([as('k2')])).rejects.toMatchObject({ code: 'KEY_MISMATCH' });
  });

  it('leaves alone what is not sealed, and without a key all', async () => {
    const list = [json({ a: 1 }), json(null)];
    const codec = payloadCodec(await ringOf('k1', k1));
    expect(await codec.decode(list)).toEqual(list);
    expect(await payloadCodec(await ringOf(null, k1)).encode(list)).toEqual(list);
  });

  it('says which key is missing', async () => {
    const sealed = await payloadCodec(await ringOf('k1', k1)).encode([json(1)]);
    await expect(payloadCodec(await ringOf('k2', k2)).decode(sealed)).rejects.toMatchObject({
      code: 'KEY_UNKNOWN',
      message: 'this was sealed with key k1; /hubferry.yaml has k2',
    });
    await expect(payloadCodec(NO_KEYS).decode(sealed)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
  });

  it('has a blind form for those who only count', async () => {
    const sealed = await payloadCodec(await ringOf('k1', k1)).encode([json('x')]);
    expect(await blindCodec.decode([...sealed, json(1)])).toEqual([json(null), json(1)]);
  });
});
