import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { importLines, type Line, nextContainer, refusalsIn } from './importing.js';
import { type Stand, startStand } from './stand.js';

let azurite: Azurite;
let stand: Stand;

beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand()]);
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => stand.hub.clear());

const importAll = (lines: readonly Line[]) => importLines(stand, azurite, lines);
const refusals = async (...lines: Line[]) => refusalsIn((await importAll(lines)).log);

const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');
const sas = (fill: number) => ({
  type: 'sas',
  symmetricKey: { primaryKey: key(fill), secondaryKey: key(fill + 1) },
});
const stored = (fill: number) => ({ type: 'sas', primaryKey: key(fill), secondaryKey: key(fill + 1) });

describe('import modes', () => {
  it('create: makes what is not there', async () => {
    stand.hub.load([
      { deviceId: 'old', tags: { keep: 1 } },
      { deviceId: 'old', moduleId: 'm' },
    ]);
    const found = await refusals(
      {
        id: 'new',
        status: 'Disabled',
        statusReason: 'because',
        importMode: 'Create',
        authentication: sas(1),
        tags: { ort: 'Zürich 🚀' },
        properties: {
          desired: { n: -1.5, $version: 9, $metadata: { $lastUpdated: 'x' } },
          reported: { ignored: 1 },
        },
      },
      { id: 'old', importMode: 'create', tags: {} },
      { id: 'old', moduleId: 'm', importMode: 'create' },
      { id: 'new', moduleId: 'm2', importMode: 'create', authentication: sas(5), tags: { t: 1 } },
    );
    expect(found).toEqual([
      ['old', 409001],
      ['old/m', 409301],
    ]);
    expect(stand.hub.record('new')).toMatchObject({
      status: 'disabled',
      statusReason: 'because',
      authentication: stored(1),
      tags: { ort: 'Zürich 🚀' },
      desired: { n: -1.5 },
      reported: {},
      twinEtag: 'AAAAAAAAAAE=',
    });
    expect(stand.hub.record('new', 'm2')).toMatchObject({ authentication: stored(5), tags: { t: 1 } });
    expect(stand.hub.record('old')?.tags).toEqual({ keep: 1 });
  });

  it('createOrUpdate, the default: makes or overwrites, and replaces the sections that are there', async () => {
    stand.hub.load([{ deviceId: 'd', statusReason: 'x', tags: { a: 1, b: 2 }, desired: { c: 3 } }]);
    const before = stand.hub.record('d');
    expect(
      await refusals({ id: 'd', eTag: 'stale', authentication: sas(1), tags: { a: 9 } }, { id: 'n' }),
    ).toEqual([]);
    const after = stand.hub.record('d');
    expect(after).toMatchObject({ authentication: stored(1), tags: { a: 9 }, desired: { c: 3 } });
    expect(after).not.toHaveProperty('statusReason');
    expect(after?.etag).not.toBe(before?.etag);
    expect(after?.generationId).toBe(before?.generationId);
    expect(stand.hub.record('n')?.authentication.type).toBe('sas');
    expect(await refusals({ id: 'd', twinETag: 'AAAAAAAAAAA=' })).toEqual([['d', 412001]]);
  });

  it('createOrUpdateIfMatchETag: overwrites only what has the etag', async () => {
    stand.hub.load([{ deviceId: 'a', etag: 'MTAx' }, { deviceId: 'b', etag: 'MTAy' }, { deviceId: 'c' }]);
    const importMode = 'createOrUpdateIfMatchETag';
    const found = await refusals(
      { id: 'a', importMode, eTag: 'MTAx', authentication: sas(1) },
      { id: 'b', importMode, eTag: 'MTAx' },
      { id: 'c', importMode },
      { id: 'n', importMode, eTag: 'MTAx' },
    );
    expect(found).toEqual([
      ['b', 412001],
      ['c', 412001],
    ]);
    expect(stand.hub.record('a')?.authentication).toEqual(stored(1));
    expect(stand.hub.record('n')).toBeDefined();
  });

  it('update and updateIfMatchETag: only what is there', async () => {
    stand.hub.load([
      { deviceId: 'a', etag: 'MTAx', tags: { t: 1 } },
      { deviceId: 'b', etag: 'MTAy' },
      { deviceId: 'c', etag: 'MTAz' },
      { deviceId: 'a', moduleId: 'm', managedBy: 'me' },
    ]);
    const found = await refusals(
      { id: 'a', importMode: 'UPDATE', eTag: 'stale', authentication: sas(1) },
      {
        id: 'b',
        importMode: 'UpdateIfMatchETag',
        eTag: 'MTAy',
        authentication: { type: 'certificateAuthority' },
      },
      { id: 'c', importMode: 'updateIfMatchETag', eTag: 'MTAx' },
      { id: 'n', importMode: 'update' },
      { id: 'a', moduleId: 'm', importMode: 'update', authentication: sas(3) },
      { id: 'a', moduleId: 'n', importMode: 'update' },
    );
    expect(found).toEqual([
      ['c', 412001],
      ['n', 404001],
      ['a/n', 404010],
    ]);
    expect(stand.hub.record('a')).toMatchObject({ authentication: stored(1), tags: { t: 1 } });
    expect(stand.hub.record('b')?.authentication).toEqual({ type: 'certificateAuthority' });
    expect(stand.hub.record('a', 'm')).toMatchObject({ authentication: stored(3) });
    expect(stand.hub.record('a', 'm')).not.toHaveProperty('managedBy');
  });

  it('delete and deleteIfMatchETag: with modules', async () => {
    stand.hub.load([
      { deviceId: 'a' },
      { deviceId: 'a', moduleId: 'm' },
      { deviceId: 'b', etag: 'MTAy' },
      { deviceId: 'c', etag: 'MTAz' },
      { deviceId: 'c', moduleId: 'm' },
    ]);
    const found = await refusals(
      { id: 'a', importMode: 'Delete' },
      { id: 'b', importMode: 'DeleteIfMatchETag', eTag: 'MTAy' },
      { id: 'c', importMode: 'deleteIfMatchETag', eTag: 'MTAy' },
      { id: 'n', importMode: 'delete' },
      { id: 'c', moduleId: 'm', importMode: 'delete' },
    );
    expect(found).toEqual([
      ['c', 412001],
      ['n', 404001],
    ]);
    expect([...stand.hub.dump()].map((record) => record.deviceId)).toEqual(['c']);
  });

  it('updateTwin and updateTwinIfMatchETag: leave the identity alone', async () => {
    stand.hub.load([
      { deviceId: 'a', statusReason: 'stays', tags: { x: 1, y: 2 }, desired: { z: 3 } },
      { deviceId: 'b', tags: { x: 1 }, twinVersion: 5 },
      { deviceId: 'c', tags: { x: 1 }, twinVersion: 6 },
      { deviceId: 'a', moduleId: 'm' },
    ]);
    const before = stand.hub.record('a');
    const found = await refusals(
      { id: 'a', status: 'disabled', importMode: 'updateTwin', tags: { x: 5 }, authentication: sas(1) },
      { id: 'b', importMode: 'updateTwinIfMatchETag', twinETag: 'AAAAAAAAAAU=', tags: {} },
      { id: 'c', importMode: 'updateTwinIfMatchETag', twinETag: 'AAAAAAAAAAU=', tags: {} },
      { id: 'n', importMode: 'updateTwin', tags: {} },
      { id: 'a', moduleId: 'm', importMode: 'updateTwin', properties: { desired: { d: true } } },
    );
    expect(found).toEqual([
      ['c', 412001],
      ['n', 404001],
    ]);
    const after = stand.hub.record('a');
    expect(after).toMatchObject({ ...before, tags: {}, twinVersion: 2, twinEtag: 'AAAAAAAAAAI=' });
    expect(after?.tags).toEqual({ x: 5 });
    expect(stand.hub.record('b')).toMatchObject({ tags: {}, twinVersion: 6 });
    expect(stand.hub.record('a', 'm')?.desired).toEqual({ d: true });
  });

  it('can merge the twin part instead, by switch', async () => {
    stand.hub.load([{ deviceId: 'a', tags: { x: 1, y: 2 } }]);
    stand.hub.set({ importTwinPart: 'merge' });
    await refusals({ id: 'a', importMode: 'updateTwin', tags: { x: 5 } });
    stand.hub.set({ importTwinPart: 'replace' });
    expect(stand.hub.record('a')?.tags).toEqual({ x: 5, y: 2 });
  });
});

describe('import lines', () => {
  it('that cannot be read are logged without an id and echo the line', async () => {
    const { job, log = '' } = await importAll([
      '{"id":"cut","status":"ena',
      { id: 'good' },
      '"text"',
      '{"id":"nostatus"}',
      { status: 'enabled' },
      { id: 'x', status: 'asleep' },
      { id: 'x', importMode: 'destroy' },
      { id: 'x', authentication: { type: 'SELF_SIGNED' } },
    ]);
    expect(job).toMatchObject({ status: 'completed', failureReason: null, progress: 100 });
    const entries = log.split('\r\n').filter((text) => text !== '');
    expect(entries).toHaveLength(7);
    for (const entry of entries) {
      const parsed = JSON.parse(entry) as Record<string, unknown>;
      expect(Object.keys(parsed)).toEqual(['errorCode', 'errorStatus']);
      expect(parsed.errorCode).toBe(400012);
      expect(parsed.errorStatus).toMatch(/^Invalid device format in line: .+\. /);
    }
    expect(entries[0]).toContain(String.raw`{\\\"id\\\":\\\"cut\\\",\\\"status\\\":\\\"ena`);
    expect(stand.hub.record('good')).toBeDefined();
  });

  it('are checked one by one like REST writes', async () => {
    const found = await refusals(
      { id: 'a b' },
      { id: 'k', authentication: { type: 'sas', symmetricKey: { primaryKey: key(1) } } },
      { id: 't', authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'xyz' } } },
      { id: 'n', authentication: { type: 'none' } },
      { id: 'r', statusReason: 'x'.repeat(129) },
      { id: 'g', tags: { 'a.b': 1 } },
      { id: 'z', properties: { desired: { n: null } } },
      { id: 'e', moduleId: 'no device' },
      { id: 'missing', moduleId: 'm' },
    );
    expect(found).toEqual([
      ...['a b', 'k', 't', 'n', 'r', 'g', 'z', 'e/no device'].map((id) => [id, 400004]),
      ['missing/m', 404001],
    ]);
    expect(stand.hub.store.deviceCount).toBe(0);
  });

  it('with an id that was there already are refused', async () => {
    const found = await refusals(
      { id: 'd' },
      { id: 'd', importMode: 'delete' },
      { id: 'd', moduleId: 'm' },
      { id: 'd', moduleId: 'm' },
    );
    expect(found).toEqual([
      ['d', 400011],
      ['d/m', 400011],
    ]);
    expect(stand.hub.record('d')).toBeDefined();
  });

  it('for reserved modules, and beyond the size of the hub, are refused', async () => {
    stand.hub.load([{ deviceId: 'e', iotEdge: true }]);
    expect(await refusals({ id: 'e', moduleId: '$edgeAgent', importMode: 'update' })).toEqual([
      ['e/$edgeAgent', 401100],
    ]);
    stand.hub.set({ maxRecords: 4 });
    expect(await refusals({ id: 'f' }, { id: 'g' })).toEqual([['g', 403002]]);
    stand.hub.set({ maxRecords: 1_000_000 });
  });

  it('may end in LF, lack the last end, start with a BOM and be blank in between', async () => {
    const container = await nextContainer(azurite);
    const line = (id: string) => JSON.stringify({ id, status: 'enabled', tags: { text: 'a\u2028b' } });
    await writeBlob(container, 'x.txt', `\uFEFF${line('a')}\n\n${line('b')}\r\n  \r\n${line('c')}`);
    const uri = azurite.uri(container);
    const request = {
      type: 'Import',
      inputBlobName: 'x.txt',
      inputBlobContainerUri: uri,
      outputBlobContainerUri: uri,
    };
    await stand.client.job(request);
    expect(await readBlob(container, 'importErrors.log')).toBe('');
    expect([...stand.hub.dump()].map((record) => record.deviceId)).toEqual(['a', 'b', 'c']);
    expect(stand.hub.record('b')?.tags).toEqual({ text: 'a\u2028b' });
  });

  it('set scopes: leaf verbatim, edge its own, parent of an edge honoured or not', async () => {
    const edge = { capabilities: { iotEdge: true } };
    const parent = 'ms-azure-iot-edge://p-1';
    await refusals(
      { id: 'leaf', deviceScope: parent },
      { id: 'e', ...edge, deviceScope: parent, parentScopes: [parent] },
    );
    expect(stand.hub.record('leaf')).toMatchObject({ deviceScope: parent, parentScopes: [parent] });
    const edgeRecord = stand.hub.record('e');
    expect(edgeRecord?.deviceScope).toBe(`ms-azure-iot-edge://e-${edgeRecord?.generationId}`);
    expect(edgeRecord?.parentScopes).toEqual([parent]);
    expect(stand.hub.record('e', '$edgeHub')).toBeDefined();
    await refusals({ id: 'e', ...edge });
    expect(stand.hub.record('e')).not.toHaveProperty('parentScopes');
    stand.hub.set({ importParentScopes: 'ignore', importStaleScope: 'refuse' });
    expect(
      await refusals({ id: 'f', ...edge, parentScopes: [parent] }, { id: 'l', deviceScope: parent }),
    ).toEqual([['l', 400028]]);
    expect(stand.hub.record('f')).not.toHaveProperty('parentScopes');
    stand.hub.set({ importParentScopes: 'honour', importStaleScope: 'accept' });
  });

  it('of an export make the same hub again, up to what the service regenerates', async () => {
    const fleet = [...generateFleet({ devices: 300, seed: 5 })];
    stand.hub.load(fleet);
    const container = await nextContainer(azurite);
    const uri = azurite.uri(container);
    await stand.client.job({ type: 'export', outputBlobContainerUri: uri });
    const before = [...stand.hub.dump()];
    stand.hub.clear();
    await stand.client.job({ type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri });
    const log = await readBlob(container, 'importErrors.log');
    expect(log.split('\r\n').filter((text) => text !== '' && !text.includes('401100'))).toEqual([]);
    const content = (records: typeof before) =>
      records.map(
        ({ etag: _e, generationId: _g, twinEtag: _t, twinVersion: _v, desiredVersion: _d, ...rest }) => {
          const { managedBy: _m, twinUpdatedAt: _u, deviceScope, parentScopes, ...kept } = rest;
          return { ...kept, scoped: deviceScope !== undefined, parents: parentScopes?.length };
        },
      );
    expect(content([...stand.hub.dump()])).toEqual(content(before));
  });
});
