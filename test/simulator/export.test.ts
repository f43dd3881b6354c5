import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
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
