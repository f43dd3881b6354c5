import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultSettings, generateFleet, type HubSettings } from '../../simulator/index.js';
import { type Azurite, readBlob, startAzurite } from './azurite.js';
import { jobIdOf, type RestClient } from './client.js';
import { type Stand, startStand } from './stand.js';

let azurite: Azurite;
let stand: Stand;
let client: RestClient;
let containers = 0;
const nextContainer = () => azurite.container(`out-${++containers}`);

beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand()]);
  client = stand.client;
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => {
  const { hub } = stand;
  hub.clear();
  hub.clearFaults();
  hub.set(defaultSettings);
});

describe('export job', () => {
  it('writes known records byte by byte in the shape of the service', async () => {
    const { hub } = stand;
    const key = Buffer.alloc(32, 1).toString('base64');
    hub.load([
      {
        deviceId: 'sas%1',
        authentication: { type: 'sas', primaryKey: key, secondaryKey: key },
        status: 'disabled',
        statusReason: 'läuft "nicht"',
        tags: { ort: 'Zürich 🚀' },
        desired: { a: { b: [1, -2.5, true] } },
        etag: 'MTAx',
        twinVersion: 3,
      },
      {
        deviceId: 'edge',
        iotEdge: true,
        authentication: { type: 'certificateAuthority' },
        generationId: '7',
        etag: 'MTAy',
      },
      {
        deviceId: 'child',
        parent: 'edge',
        authentication: { type: 'selfSigned', primaryThumbprint: 'A'.repeat(40), secondaryThumbprint: null },
        etag: 'MTAz',
      },
      {
        deviceId: 'child',
        moduleId: 'm1',
        authentication: { type: 'sas', primaryKey: key, secondaryKey: key },
        etag: 'MTA0',
      },
      {
        deviceId: 'edge2',
        iotEdge: true,
        parent: 'edge',
        generationId: '8',
        authentication: { type: 'certificateAuthority' },
        etag: 'MTA1',
      },
    ]);
    const container = await nextContainer();
    const job = await client.job({ type: 'export', outputBlobContainerUri: azurite.uri(container, 'rwd') });
    expect(job).toMatchObject({ status: 'completed', progress: 100, failureReason: null });
    const none = '"x509Thumbprint":{"primaryThumbprint":null,"secondaryThumbprint":null}';
    const keys = `"symmetricKey":{"primaryKey":"${key}","secondaryKey":"${key}"}`;
    const noKeys = '"symmetricKey":{"primaryKey":null,"secondaryKey":null}';
    const empty = '"twinETag":"AAAAAAAAAAE=","tags":{},"properties":{"desired":{},"reported":{}}';
    const etagOf = (id: string, module: string) => hub.record(id, module)?.etag;
    const system = (id: string, module: string) =>
      `{"id":"${id}","moduleId":"${module}","eTag":"${etagOf(id, module)}","status":"enabled","authentication":{${noKeys},${none},"type":"none"},${empty},"capabilities":{"iotEdge":false}}`;
    const expected = [
      `{"id":"sas%1","eTag":"MTAx","status":"disabled","statusReason":"läuft \\"nicht\\"","authentication":{${keys},${none},"type":"sas"},"twinETag":"AAAAAAAAAAM=","tags":{"ort":"Zürich 🚀"},"properties":{"desired":{"a":{"b":[1,-2.5,true]}},"reported":{}},"capabilities":{"iotEdge":false}}`,
      `{"id":"edge","eTag":"MTAy","status":"enabled","authentication":{${noKeys},${none},"type":"certificateAuthority"},${empty},"capabilities":{"iotEdge":true},"deviceScope":"ms-azure-iot-edge://edge-7"}`,
      system('edge', '$edgeAgent'),
      system('edge', '$edgeHub'),
      `{"id":"child","eTag":"MTAz","status":"enabled","authentication":{${noKeys},"x509Thumbprint":{"primaryThumbprint":"${'A'.repeat(40)}","secondaryThumbprint":null},"type":"selfSigned"},${empty},"capabilities":{"iotEdge":false},"deviceScope":"ms-azure-iot-edge://edge-7"}`,
      `{"id":"child","moduleId":"m1","eTag":"MTA0","status":"enabled","authentication":{${keys},${none},"type":"sas"},${empty},"capabilities":{"iotEdge":false}}`,
      `{"id":"edge2","eTag":"MTA1","status":"enabled","authentication":{${noKeys},${none},"type":"certificateAuthority"},${empty},"capabilities":{"iotEdge":true},"deviceScope":"ms-azure-iot-edge://edge2-8","parentScopes":["ms-azure-iot-edge://edge-7"]}`,
      system('edge2', '$edgeAgent'),
      system('edge2', '$edgeHub'),
      '',
    ].join('\r\n');
    expect(await readBlob(container, 'devices.txt')).toBe(expected);
  });

  it('leaves keys out behind a warning line, and replaces an older blob', async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    const container = await nextContainer();
    const request = {
      type: 'export',
      outputBlobContainerUri: azurite.uri(container),
      outputBlobName: 'x/fleet.txt',
    };
    await client.job(request);
    const withKeys = await readBlob(container, 'x/fleet.txt');
    await client.job({ ...request, excludeKeysInExport: true });
    const [warning, line, end] = (await readBlob(container, 'x/fleet.txt')).split('\r\n');
    expect(withKeys).toContain('"type":"sas"');
    expect(warning).not.toMatch(/^\{/);
    expect(line).toContain('"authentication":null');
    expect(end).toBe('');
  });

  it('writes an empty blob for an empty hub', async () => {
    const container = await nextContainer();
    const job = await client.job({ type: 'export', outputBlobContainerUri: azurite.uri(container) });
    expect(job.status).toBe('completed');
    expect(await readBlob(container, 'devices.txt')).toBe('');
  });

  it('is a copy of the moment at which the job started', async () => {
    const { hub } = stand;
    hub.load(generateFleet({ devices: 400, seed: 3, plain: true }));
    hub.set({ rate: 2000 });
    const container = await nextContainer();
    const created = await client.ask('POST', '/jobs/create', {
      body: { type: 'export', outputBlobContainerUri: azurite.uri(container) },
    });
    const jobId = jobIdOf(created);
    for (;;) {
      const { json } = await client.ask('GET', `/jobs/${jobId}`);
      if (Number(json.progress) > 0) break;
    }
    await client.ask('DELETE', '/devices/device-000400', { headers: { 'if-match': '"*"' } });
    await client.ask('PUT', '/devices/later', { body: { deviceId: 'later' } });
    const ended = await client.ended(jobId);
    hub.set({ rate: 0 });
    const text = await readBlob(container, 'devices.txt');
    expect(ended.status).toBe('completed');
    expect(text).toContain('"device-000400"');
    expect(text).not.toContain('"later"');
  });
});

describe('export switches', () => {
  const key = Buffer.alloc(32, 1).toString('base64');
  const print = 'A'.repeat(40);

  /** The blob of an export with these settings. */
  async function exported(settings: Partial<HubSettings>, excludeKeysInExport = false): Promise<string> {
    stand.hub.set(settings);
    const container = await nextContainer();
    const outputBlobContainerUri = azurite.uri(container);
    const job = await client.job({ type: 'export', outputBlobContainerUri, excludeKeysInExport });
    expect(job.status).toBe('completed');
    return readBlob(container, 'devices.txt');
  }

  it('exportExcludedKeys: nothing of the authentication, or all but the keys', async () => {
    stand.hub.load([
      { deviceId: 's', authentication: { type: 'sas', primaryKey: key, secondaryKey: key } },
      {
        deviceId: 'x',
        authentication: { type: 'selfSigned', primaryThumbprint: print, secondaryThumbprint: null },
      },
    ]);
    const nothing = await exported({ exportExcludedKeys: 'noAuthentication' }, true);
    expect(nothing.match(/"authentication":null/g)).toHaveLength(2);
    const nullKeys = await exported({ exportExcludedKeys: 'nullKeys' }, true);
    const authentications = nullKeys
      .split('\r\n')
      .slice(1, 3)
      .map((line) => (JSON.parse(line) as { authentication: unknown }).authentication);
    const symmetricKey = { primaryKey: null, secondaryKey: null };
    expect(authentications).toEqual([
      { symmetricKey, x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null }, type: 'sas' },
      {
        symmetricKey,
        x509Thumbprint: { primaryThumbprint: print, secondaryThumbprint: null },
        type: 'selfSigned',
      },
    ]);
    expect(await exported({}, false)).toContain(key);
  });

  it('exportWarning: with it, or without, and never when keys are in the file', async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    const first = (text: string) => text.split('\r\n')[0];
    expect(first(await exported({}, true))).toMatch(/^WARNING/);
    expect(first(await exported({}, false))).toMatch(/^\{"id":"d"/);
    expect(first(await exported({ exportWarning: false }, true))).toMatch(/^\{"id":"d"/);
  });

  it('exportLineEnd and exportFinalLineEnd: every combination', async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    const ends = (text: string) => text.replace(/\{.*\}/g, '{}').replace(/^WARNING.*/, 'W');
    const found = [];
    for (const exportLineEnd of ['crlf', 'lf'] as const) {
      for (const exportFinalLineEnd of [true, false]) {
        const settings = { exportLineEnd, exportFinalLineEnd };
        found.push(ends(await exported(settings)), ends(await exported(settings, true)));
      }
    }
    expect(found).toEqual([
      '{}\r\n{}\r\n',
      'W\r\n{}\r\n{}\r\n',
      '{}\r\n{}',
      'W\r\n{}\r\n{}',
      '{}\n{}\n',
      'W\n{}\n{}\n',
      '{}\n{}',
      'W\n{}\n{}',
    ]);
  });

  it('exportFinalLineEnd off, exportBom on: an empty hub makes an empty file, but for the mark', async () => {
    expect(await exported({ exportFinalLineEnd: false })).toBe('');
    expect(await exported({ exportFinalLineEnd: true, exportBom: true })).toBe('\uFEFF');
    stand.hub.load([{ deviceId: 'a' }]);
    expect(await exported({})).toMatch(/^\uFEFF\{/);
  });

  it('exportReported and exportParentScopes', async () => {
    stand.hub.load([
      { deviceId: 'p', iotEdge: true, reported: { fw: 1 } },
      { deviceId: 'c', iotEdge: true, parent: 'p' },
    ]);
    const plain = await exported({});
    expect(plain).not.toContain('"fw"');
    expect(plain).toContain('"parentScopes"');
    const other = await exported({ exportReported: true, exportParentScopes: false });
    expect(other).toContain('"reported":{"fw":1}');
    expect(other).not.toContain('"parentScopes"');
  });

  it('a file made with any of them can be imported', async () => {
    const fleet = [...generateFleet({ devices: 60, seed: 11, edgeShare: 0 })];
    stand.hub.load(fleet);
    stand.hub.set({ exportLineEnd: 'lf', exportFinalLineEnd: false, exportBom: true });
    const container = await nextContainer();
    const uri = azurite.uri(container);
    await client.job({ type: 'export', outputBlobContainerUri: uri });
    stand.hub.clear();
    await client.job({ type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri });
    expect(await readBlob(container, 'importErrors.log')).toBe('');
    expect(stand.hub.store.deviceCount + stand.hub.store.moduleCount).toBe(60);
  });
});
