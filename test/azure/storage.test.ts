import { randomBytes } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import { array, assert, asyncProperty, integer } from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openStorage, type Storage } from '../../azure/storage.js';
import { HubferryError } from '../../registry/errors.js';
import { ACCOUNT_KEY, type Azurite, startAzurite, startWire, storageAt, type Wire } from './azurite.js';

let azurite: Azurite;
let storage: Storage;
let container: string;
let serial = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  storage = openStorage(storageAt(azurite.port));
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

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

async function failure(run: Promise<unknown>): Promise<HubferryError> {
  const error: unknown = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof HubferryError)) throw new Error('not a HubferryError', { cause: error });
  expect(`${error.message} ${error.stack ?? ''}`).not.toContain(ACCOUNT_KEY);
  expect(error.message).not.toMatch(/sig=(?!\[)|\n/);
  return error;
}

/** The committed blocks of a blob: their sizes. */
async function blocksOf(blob: string): Promise<number[]> {
  const service = BlobServiceClient.fromConnectionString(storageAt(azurite.port).connectionString);
  const list = await service.getContainerClient(container).getBlockBlobClient(blob).getBlockList('all');
  expect(list.uncommittedBlocks ?? []).toEqual([]);
  return (list.committedBlocks ?? []).map((block) => block.size);
}

describe('containers', () => {
  it('are made once, listed, and deleted, there or not', async () => {
    const name = `${container}-b`;
    expect(await storage.containerExists(name)).toBe(false);
    expect(await storage.createContainer(name)).toBe(true);
    expect(await storage.createContainer(name)).toBe(false);
    expect(await storage.containerExists(name)).toBe(true);
    expect(await collect(storage.listContainers(container))).toEqual([container, name]);
    await storage.deleteContainer(name);
    await storage.deleteContainer(name);
    expect(await storage.containerExists(name)).toBe(false);
  });

  it('are private', async () => {
    await storage.writeText(container, 'a.txt', 'x');
    const answer = await fetch(`${storage.account}/${container}/a.txt`);
    expect(answer.ok).toBe(false);
  });
});

describe('small blobs', () => {
  it('are written, read, measured, listed and deleted', async () => {
    const text = 'Zürich → 東京 🚢\r\n';
    const name = 'runs/ä b#?%.json';
    expect(await storage.readText(container, name)).toBeNull();
    expect(await storage.size(container, name)).toBeNull();
    expect(await storage.writeText(container, name, text)).toBe(true);
    expect(await storage.readText(container, name)).toBe(text);
    const bytes = Buffer.byteLength(text);
    expect(await storage.size(container, name)).toBe(bytes);
    await storage.writeText(container, 'other', '');
    expect(await storage.readText(container, 'other')).toBe('');
    expect(await collect(storage.list(container, 'runs/'))).toEqual([{ name, bytes }]);
    expect((await collect(storage.list(container))).map((blob) => blob.name)).toEqual(['other', name]);
    await storage.deleteBlob(container, name);
    await storage.deleteBlob(container, name);
    expect(await storage.readText(container, name)).toBeNull();
  });

  it('can be written by one of many only', async () => {
    const tries = ['a', 'b', 'c', 'd'].map((text) =>
      storage.writeText(container, 'owner', text, { onlyIfAbsent: true }),
    );
    expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
    expect(await storage.writeText(container, 'owner', 'e', { onlyIfAbsent: true })).toBe(false);
    expect(await storage.readText(container, 'owner')).toMatch(/^[a-d]$/);
    expect(await storage.writeText(container, 'owner', 'e')).toBe(true);
    expect(await storage.readText(container, 'owner')).toBe('e');
  });

  it('are null without their container, too; writing then fails', async () => {
    expect(await storage.readText(`${container}-no`, 'a')).toBeNull();
    expect(await storage.size(`${container}-no`, 'a')).toBeNull();
    expect(await failure(storage.writeText(`${container}-no`, 'a', 'x'))).toMatchObject({
      code: 'STORAGE_REFUSED',
      serviceCode: 'ContainerNotFound',
      status: 404,
      message: expect.stringContaining(`cannot write ${container}-no/a (ContainerNotFound, HTTP 404)`),
    });
  });
});

describe('reading a range', () => {
  const content = randomBytes(100_000);
  const read = async (range?: { offset: number; count?: number }): Promise<Buffer> =>
    await bytesOf(await storage.read(container, 'blob', range));

  beforeEach(async () => {
    const writer = storage.writer(container, 'blob');
    await writer.write(content);
    await writer.close();
  });

  it.each([
    [undefined, 0, 100_000],
    [{ offset: 0 }, 0, 100_000],
    [{ offset: 10, count: 5 }, 10, 15],
    [{ offset: 99_990 }, 99_990, 100_000],
    [{ offset: 99_990, count: 100 }, 99_990, 100_000],
    [{ offset: 50, count: 0 }, 50, 50],
    [{ offset: 100_000 }, 0, 0],
    [{ offset: 200_000, count: 10 }, 0, 0],
  ])('%o', async (range, start, end) => {
    expect((await read(range)).equals(content.subarray(start, end))).toBe(true);
  });

  it('of an empty blob', async () => {
    await storage.writeText(container, 'blob', '');
    expect(await read()).toHaveLength(0);
    expect(await read({ offset: 0, count: 10 })).toHaveLength(0);
  });

  it('of none', async () => {
    expect(await failure(storage.read(container, 'none'))).toMatchObject({
      code: 'STORAGE_REFUSED',
      serviceCode: 'BlobNotFound',
    });
  });

  it('may be given up half-way', async () => {
    for await (const chunk of await storage.read(container, 'blob')) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(await read({ offset: 0, count: 1 })).toHaveLength(1);
  });
});

describe('writing in blocks', () => {
  it('makes the same blocks however the data is cut', async () => {
    const content = randomBytes(10_000);
    const cuts = array(integer({ min: 0, max: 10_000 }), { maxLength: 20 });
    await assert(
      asyncProperty(cuts, async (at) => {
        const writer = storage.writer(container, 'blob', { blockBytes: 3_000 });
        const places = [0, ...at.toSorted((a, b) => a - b), content.length];
        for (const [index, place] of places.slice(0, -1).entries()) {
          await writer.write(content.subarray(place, places[index + 1]));
        }
        expect(writer.bytes).toBe(10_000);
        await writer.close();
        expect(await blocksOf('blob')).toEqual([3_000, 3_000, 3_000, 1_000]);
        expect((await bytesOf(await storage.read(container, 'blob'))).equals(content)).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it.each([
    [0, []],
    [1, []],
    [1_000, []],
    [1_001, [1_000, 1]],
    [2_000, [1_000, 1_000]],
  ])('%d bytes become the blocks %j', async (bytes, blocks) => {
    const writer = storage.writer(container, 'blob', { blockBytes: 1_000 });
    await writer.write(Buffer.alloc(bytes));
    await writer.close();
    expect(await blocksOf('blob')).toEqual(blocks);
    expect(await storage.size(container, 'blob')).toBe(bytes);
  });

  it('keeps the order, also for a writer that does not wait', async () => {
    const writer = storage.writer(container, 'blob', { blockBytes: 1_000 });
    const lines = Array.from({ length: 5_000 }, (_unused, index) => `${index} ü\r\n`);
    const waits = lines.map((line) => writer.write(line));
    expect(waits.some((wait) => wait === undefined)).toBe(true);
    await writer.close();
    for (const wait of waits) await wait;
    expect(await storage.readText(container, 'blob')).toBe(lines.join(''));
  });

  it('shows nothing before close, and takes nothing after it', async () => {
    await storage.writeText(container, 'blob', 'old');
    const writer = storage.writer(container, 'blob', { blockBytes: 10 });
    await writer.write('x'.repeat(100));
    expect(await storage.readText(container, 'blob')).toBe('old');
    await writer.close();
    await expect(Promise.resolve().then(() => writer.write('more'))).rejects.toThrow('closed');
    await expect(writer.close()).rejects.toThrow('closed');
    expect(await storage.readText(container, 'blob')).toBe('x'.repeat(100));
  });

  it('takes two writers of the same data at once', async () => {
    const content = 'line\r\n'.repeat(2_000);
    const writers = [1, 2].map(() => storage.writer(container, 'blob', { blockBytes: 1_000 }));
    for (let at = 0; at < content.length; at += 700) {
      for (const writer of writers) await writer.write(content.slice(at, at + 700));
    }
    await writers[0]?.close();
    expect(await storage.readText(container, 'blob')).toBe(content);
    await writers[1]?.close();
    expect(await storage.readText(container, 'blob')).toBe(content);
  });

  it('names the type of what it is', async () => {
    const service = BlobServiceClient.fromConnectionString(storageAt(azurite.port).connectionString);
    for (const [name, type] of [
      ['a.json', 'application/json'],
      ['devices.txt', 'text/plain; charset=utf-8'],
      ['part-1', 'application/octet-stream'],
    ] as const) {
      await storage.writer(container, name).close();
      const { contentType } = await service.getContainerClient(container).getBlobClient(name).getProperties();
      expect(contentType).toBe(type);
    }
  });
});

describe('granting access', () => {
  const hour = (): Date => new Date(Date.now() + 3_600_000);
  const ago = (): Date => new Date(Date.now() - 3_600_000);
  const at = (uri: string, blob: string): string => uri.replace('?', `/${blob}?`);
  const get = async (uri: string, blob = 'a'): Promise<number> => (await fetch(at(uri, blob))).status;
  const put = async (uri: string, blob: string): Promise<number> => {
    const headers = { 'x-ms-blob-type': 'BlockBlob' };
    return (await fetch(at(uri, blob), { method: 'PUT', body: 'x', headers })).status;
  };

  beforeEach(() => storage.writeText(container, 'a', 'hello'));

  it('gives what was asked for, through a policy of that name', async () => {
    const input = await storage.access.grant(container, 'input', 'r', hour());
    const output = await storage.access.grant(container, 'output', 'rwd', hour());
    expect(new URL(input).searchParams.get('si')).toBe('input');
    expect([...new URL(output).searchParams.keys()].toSorted()).toEqual(['si', 'sig', 'sr', 'sv']);
    expect(await get(input)).toBe(200);
    expect(await put(input, 'b')).toBe(403);
    expect(await put(output, 'b')).toBe(201);
    expect(await get(output, 'b')).toBe(200);
    expect((await fetch(at(output, 'b'), { method: 'DELETE' })).status).toBe(202);
  });

  it('is extended, and revoked, for all that was granted', async () => {
    const uris = [
      await storage.access.grant(container, 'input', 'r', hour()),
      await storage.access.grant(container, 'output', 'rwd', hour()),
    ];
    const statuses = (): Promise<number[]> => Promise.all(uris.map((uri) => get(uri)));
    await storage.access.extend(container, ago());
    expect(await statuses()).toEqual([403, 403]);
    await storage.access.extend(container, hour());
    expect(await statuses()).toEqual([200, 200]);
    await storage.access.revoke(container);
    expect(await statuses()).toEqual([403, 403]);
    await storage.access.revoke(container);
  });

  it('can be changed by granting again', async () => {
    const uri = await storage.access.grant(container, 'input', 'r', hour());
    await storage.access.grant(container, 'input', 'rw', hour());
    expect(await put(uri, 'b')).toBe(201);
  });

  it('of a container that is gone', async () => {
    await storage.deleteContainer(container);
    await storage.access.revoke(container);
    expect(await failure(storage.access.extend(container, hour()))).toMatchObject({
      serviceCode: 'ContainerNotFound',
    });
    expect(await failure(storage.access.grant(container, 'input', 'r', hour()))).toMatchObject({
      code: 'STORAGE_REFUSED',
    });
  });
});

describe('a bad connection', () => {
  let wire: Wire;
  let shaky: Storage;
  beforeEach(async () => {
    wire = await startWire(azurite.port);
    shaky = openStorage(storageAt(wire.port));
  });
  afterEach(() => wire.close());

  const content = randomBytes(3_000_000);

  async function fill(): Promise<void> {
    const writer = storage.writer(container, 'blob');
    await writer.write(content);
    await writer.close();
  }

  it('cut while reading is taken up where it was', async () => {
    await fill();
    wire.cut(1_000_000, 500_000, 900_000);
    expect((await bytesOf(await shaky.read(container, 'blob'))).equals(content)).toBe(true);
    wire.cut(1_000_000);
    const part = await bytesOf(await shaky.read(container, 'blob', { offset: 7, count: 2_000_000 }));
    expect(part.equals(content.subarray(7, 2_000_007))).toBe(true);
  });

  it('does not mix two versions of a blob', async () => {
    await fill();
    wire.cut(1_000_000);
    const chunks = await shaky.read(container, 'blob');
    await storage.writeText(container, 'blob', 'another');
    expect(await failure(bytesOf(chunks))).toMatchObject({ code: 'STORAGE_CONTENDED', status: 412 });
  });

  it('that brings nothing any more ends in an error', async () => {
    await fill();
    wire.cut(1_000_000, ...Array.from({ length: 20 }, () => 0));
    const chunks = await shaky.read(container, 'blob');
    await wire.close();
    expect(await failure(bytesOf(chunks))).toMatchObject({ code: 'STORAGE_UNREACHABLE' });
  });

  it('is told as such, soon, by every call', async () => {
    await wire.close();
    const start = performance.now();
    const writer = shaky.writer(container, 'blob', { blockBytes: 10 });
    const calls = [
      shaky.createContainer('abc'),
      shaky.size(container, 'a'),
      shaky.readText(container, 'a'),
      collect(shaky.list(container)),
      collect(shaky.listContainers('a')),
      Promise.resolve(writer.write('x'.repeat(100))).then(() => writer.close()),
      shaky.access.grant(container, 'input', 'r', new Date()),
    ];
    for (const error of await Promise.all(calls.map(failure))) {
      expect(error.code).toBe('STORAGE_UNREACHABLE');
      expect(error.message).toContain('ECONNREFUSED');
    }
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('a wrong key', () => {
  it('is told as such', async () => {
    const stranger = openStorage(storageAt(azurite.port, randomBytes(64).toString('base64')));
    for (const run of [
      stranger.createContainer('abc'),
      collect(stranger.listContainers('a')),
      stranger.size('abc', 'x'),
    ]) {
      expect((await failure(run)).code).toBe('STORAGE_UNAUTHORIZED');
    }
  });
});
