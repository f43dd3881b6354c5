import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KeyRing } from '../../azure/key-ring.js';
import { FRAME_BYTES, HEADER_BYTES } from '../../azure/sealed-frames.js';
import { openRawStorage, openStorage, type Storage } from '../../azure/storage.js';
import type { RawStorage } from '../../azure/storage-port.js';
import { HubferryError } from '../../registry/errors.js';
import { type Azurite, startAzurite, storageAt } from './azurite.js';

const KEYS = new Map(['old', 'new'].map((id) => [id, { id, bytes: randomBytes(32) }]));

/** @param current what is sealed with; undefined: nothing */
function ring(current: string | undefined, ...ids: string[]): KeyRing {
  const find: KeyRing['find'] = (id) => {
    const key = ids.includes(id) ? KEYS.get(id) : undefined;
    if (key === undefined) throw new HubferryError('KEY_UNKNOWN', `sealed with key ${id}`);
    return key;
  };
  return { current: current === undefined ? null : find(current), find };
}

const PLAIN = 'planted content of a record\n';

let azurite: Azurite;
let raw: RawStorage;
let keyless: Storage;
let storage: Storage;
let container: string;
let serial = 0;

const withKeys = (keys: KeyRing): Storage => openStorage(storageAt(azurite.port), { keys });

beforeAll(async () => {
  azurite = await startAzurite();
  raw = openRawStorage(storageAt(azurite.port));
  keyless = openStorage(storageAt(azurite.port));
  storage = withKeys(ring('new', 'old', 'new'));
});
afterAll(() => azurite.stop());
beforeEach(async () => {
  serial += 1;
  container = `hf-test-${serial}`;
  await storage.createContainer(container);
});

async function bytesOf(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const rawBytes = async (blob: string, at = container): Promise<Buffer> =>
  await bytesOf(await raw.read(at, blob));

async function write(
  to: Storage,
  blob: string,
  content: Buffer | string,
  blockBytes?: number,
): Promise<void> {
  const writer = to.writer(container, blob, blockBytes === undefined ? {} : { blockBytes });
  await writer.write(content);
  await writer.close();
}

async function sizes(of: Storage, prefix?: string): Promise<[string, number][]> {
  const all: [string, number][] = [];
  for await (const { name, bytes } of of.list(container, prefix)) all.push([name, bytes]);
  return all;
}

describe('a blob of a run', () => {
  it('is sealed, and read, measured and listed as if it were not', async () => {
    const big = randomBytes(2 * FRAME_BYTES + 100);
    await write(storage, 'big', big, 50_000);
    await write(storage, 'empty', '');
    expect(await storage.writeText(container, 'small.json', PLAIN)).toBe(true);
    expect(await storage.writeText(container, 'small.json', 'other', { onlyIfAbsent: true })).toBe(false);
    expect(await storage.readText(container, 'small.json')).toBe(PLAIN);
    expect(await storage.readText(container, 'empty')).toBe('');
    expect(await storage.readText(container, 'none')).toBeNull();
    expect((await bytesOf(await storage.read(container, 'big'))).equals(big)).toBe(true);
    expect(await sizes(storage)).toEqual([
      ['big', big.length],
      ['empty', 0],
      ['small.json', PLAIN.length],
    ]);
    expect(await storage.size(container, 'big')).toBe(big.length);
    expect(await storage.size(container, 'none')).toBeNull();
    expect((await rawBytes('small.json')).toString('latin1')).not.toContain('planted');
    expect((await rawBytes('big')).includes(big.subarray(0, 50))).toBe(false);
  });

  it.each([
    [{ offset: 0, count: 0 }],
    [{ offset: 0, count: 10 }],
    [{ offset: 7 }],
    [{ offset: FRAME_BYTES - 1, count: 2 }],
    [{ offset: FRAME_BYTES }],
    [{ offset: 2 * FRAME_BYTES, count: 1_000 }],
    [{ offset: 9 * FRAME_BYTES }],
  ])('is read by range: %o', async ({ offset, count = Infinity }: { offset: number; count?: number }) => {
    const content = randomBytes(2 * FRAME_BYTES + 100);
    for (const to of [storage, keyless]) {
      await write(to, 'blob', content);
      const range = count === Infinity ? { offset } : { offset, count };
      const read = await bytesOf(await storage.read(container, 'blob', range));
      expect(read.equals(content.subarray(offset, offset + count))).toBe(true);
    }
  });

  it('tells a writer how many bytes it was given, and takes none after its end', async () => {
    const writer = storage.writer(container, 'blob');
    await writer.write('abc');
    expect(writer.bytes).toBe(3);
    await writer.write(Buffer.alloc(3 * FRAME_BYTES));
    expect(writer.bytes).toBe(3 + 3 * FRAME_BYTES);
    await writer.close();
    await expect(Promise.resolve().then(() => writer.write('more'))).rejects.toThrow('closed');
    await expect(writer.close()).rejects.toThrow('closed');
  });

  it('stays as it is where a hub is to read it, and where people look', async () => {
    await storage.createContainer('hubferry');
    await storage.writeText(container, 'devices.txt', PLAIN, { forHub: true });
    await storage.writeText('hubferry', 'runs/x.json', PLAIN);
    const writer = storage.writer(container, 'more.txt', { forHub: true });
    await writer.write(PLAIN);
    await writer.close();
    for (const [blob, at] of [['devices.txt'], ['more.txt'], ['runs/x.json', 'hubferry']] as const) {
      expect((await rawBytes(blob, at)).toString()).toBe(PLAIN);
      expect(await storage.readText(at ?? container, blob)).toBe(PLAIN);
    }
  });

  it('is the same in a copy that the account makes', async () => {
    await storage.writeText(container, 'a', PLAIN);
    await storage.copy({ container, blob: 'a' }, { container, blob: 'b' });
    expect(await storage.readText(container, 'b')).toBe(PLAIN);
    expect(await sizes(storage, 'b')).toEqual([['b', PLAIN.length]]);
  });

  it('opens with the key it names, whichever is the one to seal with now', async () => {
    await withKeys(ring('old', 'old')).writeText(container, 'a', PLAIN);
    expect(await storage.readText(container, 'a')).toBe(PLAIN);
    expect(await withKeys(ring(undefined, 'old')).readText(container, 'a')).toBe(PLAIN);
    for (const other of [keyless, withKeys(ring('new', 'new'))]) {
      const told = { code: 'KEY_UNKNOWN', message: expect.stringContaining(`${container}/a`) };
      await expect(other.readText(container, 'a')).rejects.toMatchObject(told);
      await expect(other.read(container, 'a', { offset: 3 })).rejects.toMatchObject(told);
    }
  });

  it('without a key, or with keys to open only, is written as it is', async () => {
    for (const [blob, to] of [
      ['a', keyless],
      ['b', withKeys(ring(undefined, 'old'))],
    ] as const) {
      await to.writeText(container, blob, PLAIN);
      expect((await rawBytes(blob)).toString()).toBe(PLAIN);
      expect(await to.sealer(container, blob)).toBeNull();
    }
  });
});

describe('a blob that was not sealed', () => {
  it('is put in its sealed form, once, and readers see no difference', async () => {
    const content = randomBytes(FRAME_BYTES + 1);
    await write(keyless, 'devices.txt', content, 50_000);
    expect(await storage.size(container, 'devices.txt')).toBe(content.length);
    const sealer = await storage.sealer(container, 'devices.txt');
    for await (const part of await storage.read(container, 'devices.txt')) await sealer?.write(part);
    expect((await rawBytes('devices.txt')).equals(content)).toBe(true);
    await sealer?.close();
    expect((await rawBytes('devices.txt')).equals(content)).toBe(false);
    expect((await bytesOf(await storage.read(container, 'devices.txt'))).equals(content)).toBe(true);
    expect(await storage.sealer(container, 'devices.txt')).toBeNull();
  });
});

describe('two writers of one blob at once', () => {
  it('leave a whole one: who comes second writes it again, or is told to', async () => {
    const lines = 'line\r\n'.repeat(25_000);
    const writers = [1, 2].map(() => storage.writer(container, 'blob', { blockBytes: 50_000 }));
    for (let at = 0; at < lines.length; at += 7_000) {
      for (const writer of writers) await writer.write(lines.slice(at, at + 7_000));
    }
    await writers[0]?.close();
    expect(await storage.readText(container, 'blob')).toBe(lines);
    await expect(writers[1]?.close()).rejects.toMatchObject({ code: 'STORAGE_CONTENDED' });
    expect(await storage.readText(container, 'blob')).toBe(lines);
    await write(storage, 'blob', lines, 50_000);
    expect(await storage.readText(container, 'blob')).toBe(lines);
  });

  it('of which one does not seal, too', async () => {
    const [plain, other] = [keyless, storage].map((one) =>
      one.writer(container, 'blob', { blockBytes: 1_000 }),
    );
    await plain?.write('x'.repeat(5_000));
    await other?.write('x'.repeat(2 * FRAME_BYTES));
    await other?.close();
    expect(await storage.size(container, 'blob')).toBe(2 * FRAME_BYTES);
    await expect(plain?.close()).rejects.toMatchObject({ code: 'STORAGE_CONTENDED' });
    expect(await storage.size(container, 'blob')).toBe(2 * FRAME_BYTES);
  });
});

describe('a sealed blob that somebody touched', () => {
  const content = randomBytes(3 * FRAME_BYTES);
  const frameAt = (index: number): number => HEADER_BYTES + index * (FRAME_BYTES + 16);
  const put = async (bytes: Buffer, contentType = 'application/vnd.hubferry.sealed'): Promise<void> => {
    await raw.write(container, 'blob', bytes, { contentType });
  };
  const broken = {
    code: 'SEAL_BROKEN',
    message: expect.stringMatching(/^hf-test-\d+\/blob is not what was sealed: it .*\.$/),
  };
  let whole: Buffer;
  beforeEach(async () => {
    await write(storage, 'blob', content);
    whole = await rawBytes('blob');
  });

  it('is refused, and nothing of what is damaged is handed on', async () => {
    whole[frameAt(1) + 5] = (whole[frameAt(1) + 5] ?? 0) ^ 1;
    await put(whole);
    const given: Buffer[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of await storage.read(container, 'blob')) given.push(chunk);
    };
    await expect(read()).rejects.toMatchObject(broken);
    expect(Buffer.concat(given).equals(content.subarray(0, FRAME_BYTES))).toBe(true);
    await expect(storage.readText(container, 'blob')).rejects.toMatchObject(broken);
  });

  it.each([
    ['between two frames', frameAt(2)],
    ['behind the header', HEADER_BYTES],
    ['in the header', 20],
    ['to what an empty one has', HEADER_BYTES + 16],
    ['to nothing', 0],
  ])('is refused where it was cut %s', async (_where, at) => {
    await put(whole.subarray(0, at));
    await expect(storage.readText(container, 'blob')).rejects.toMatchObject(broken);
    const toItsEnd = async (): Promise<Buffer> =>
      await bytesOf(await storage.read(container, 'blob', { offset: 5 * FRAME_BYTES }));
    await expect(toItsEnd()).rejects.toMatchObject(broken);
  });

  it('is refused without its beginning, and found also where a tool has dropped its type', async () => {
    await put(Buffer.concat([Buffer.from('{'), whole.subarray(1)]));
    await expect(storage.readText(container, 'blob')).rejects.toMatchObject(broken);
    await put(whole, 'application/octet-stream');
    expect((await bytesOf(await storage.read(container, 'blob'))).equals(content)).toBe(true);
  });
});
