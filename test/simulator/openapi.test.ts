import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isErrorName } from '../../simulator/errors.js';
import { router } from '../../simulator/routes/index.js';
import { type Azurite, startAzurite, writeBlob } from './azurite.js';
import { type Answer, asText, jobIdOf } from './client.js';
import { type FieldType, operations, schemaNamed } from './openapi-table.js';
import { type Stand, startStand } from './stand.js';

let azurite: Azurite;
let stand: Stand;
let uri = '';

beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand()]);
  const container = await azurite.container('openapi');
  uri = azurite.uri(container);
  await writeBlob(container, 'devices.txt', '{"id":"imported","status":"enabled"}\r\n');
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});

const thumbprints = { primaryThumbprint: 'ab'.repeat(20), secondaryThumbprint: null } as const;

beforeEach(() => {
  stand.hub.reset();
  stand.hub.load([
    {
      deviceId: 'd',
      statusReason: 'why',
      tags: { a: { b: [1, 'x'] } },
      desired: { c: true },
      queuedMessages: 2,
    },
    { deviceId: 'd', moduleId: 'm', managedBy: 'me' },
    { deviceId: 'x', authentication: { type: 'selfSigned', ...thumbprints }, status: 'disabled' },
    { deviceId: 'c', authentication: { type: 'certificateAuthority' } },
    { deviceId: 'e', iotEdge: true },
    { deviceId: 'leaf', parent: 'e', reported: { ok: 1 } },
    { deviceId: 'inner', iotEdge: true, parent: 'e' },
  ]);
});

/** What is wrong with a value; empty: nothing. */
function faults(value: unknown, type: FieldType, where: string): string[] {
  const check = (fits: boolean): string[] => (fits ? [] : [`${where}: ${JSON.stringify(value)}`]);
  if (type === 'integer') return check(Number.isInteger(value));
  if (type === 'time') return check(typeof value === 'string' && isTime(value));
  if (type === 'anything') return check(isObject(value));
  if (type === 'strings') return check(Array.isArray(value) && value.every((one) => typeof one === 'string'));
  if (typeof type === 'string') return check(typeof value === type);
  if ('oneOf' in type) return check(typeof value === 'string' && type.oneOf.includes(value));
  if ('schema' in type) return schemaFaults(value, type.schema, where);
  if ('listOf' in type) return listFaults(value, type.listOf, where);
  if (!isObject(value)) return check(false);
  return Object.entries(value).flatMap(([key, one]) => faults(one, type.mapOf, `${where}.${key}`));
}

function schemaFaults(value: unknown, name: string, where: string): string[] {
  if (!isObject(value)) return [`${where}: ${JSON.stringify(value)} is not a ${name}`];
  const schema = schemaNamed(name);
  const found: string[] = [];
  for (const [key, one] of Object.entries(value)) {
    const field = Object.hasOwn(schema, key) ? schema[key] : undefined;
    if (field === undefined) found.push(`${where}.${key}: not in ${name}`);
    else if (one !== null) found.push(...faults(one, field.type, `${where}.${key}`));
    else if (field.required) found.push(`${where}.${key}: null`);
  }
  for (const [key, { required }] of Object.entries(schema)) {
    if (required && !Object.hasOwn(value, key)) found.push(`${where}.${key}: missing`);
  }
  return found;
}

function listFaults(value: unknown, name: string, where: string): string[] {
  if (!Array.isArray(value)) return [`${where}: not a list`];
  return value.flatMap((one, i) => schemaFaults(one, name, `${where}[${i}]`));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTime(text: string): boolean {
  if (text === '0001-01-01T00:00:00') return true;
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/.test(text) && !Number.isNaN(Date.parse(text));
}

const anyEtag = { 'if-match': '"*"' };
const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  stand.client.ask(method, path, { headers, ...(body === undefined ? {} : { body }) });

const deviceContent = { 'properties.desired.level': 3 };
const deployment = {
  id: 'edge',
  content: {
    modulesContent: {
      $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', modules: {} } },
      $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: {} } },
    },
  },
  targetCondition: "tags.site = 'x'",
  priority: 5,
  labels: { a: 'b' },
  metrics: { queries: { m: "SELECT deviceId FROM devices WHERE tags.site = 'x'" } },
};
const putConfiguration = () =>
  ask('PUT', '/configurations/c1', { id: 'c1', content: { deviceContent }, targetCondition: '*' });
const startJob = () => ask('POST', '/jobs/create', { type: 'export', outputBlobContainerUri: uri });

async function finishedJob(): Promise<string> {
  const state = await stand.client.job({ type: 'export', outputBlobContainerUri: uri });
  return asText(state.jobId);
}

/** Calls each operation that is in scope, some in several ways. */
const calls: Record<string, () => Promise<Answer[]>> = {
  'GET /configurations': async () => {
    await putConfiguration();
    await ask('PUT', '/configurations/edge', deployment);
    return [await ask('GET', '/configurations')];
  },
  'GET /configurations/{id}': async () => {
    await putConfiguration();
    return [await ask('GET', '/configurations/c1')];
  },
  'PUT /configurations/{id}': async () => {
    const made = await ask('PUT', '/configurations/edge', deployment);
    const changed = { ...deployment, priority: 6 };
    return [await putConfiguration(), made, await ask('PUT', '/configurations/edge', changed, anyEtag)];
  },
  'DELETE /configurations/{id}': async () => {
    await putConfiguration();
    return [await ask('DELETE', '/configurations/c1')];
  },
  'POST /configurations/testQueries': async () => {
    const metric = (query: string) => ({ customMetricQueries: { m: query } });
    return [
      await ask('POST', '/configurations/testQueries', { targetCondition: "tags.a = 'x'" }),
      await ask('POST', '/configurations/testQueries', {
        targetCondition: 'rubbish =',
        ...metric('rubbish'),
      }),
    ];
  },
  'POST /devices/{id}/applyConfigurationContent': async () => [
    await ask('POST', '/devices/e/applyConfigurationContent', deployment.content),
  ],
  'GET /statistics/devices': async () => [await ask('GET', '/statistics/devices')],
  'GET /statistics/service': async () => [await ask('GET', '/statistics/service')],
  'GET /devices': async () => [await ask('GET', '/devices'), await ask('GET', '/devices/?top=2')],
  'POST /devices': async () => {
    const entry = (id: string) => ({ id, importMode: 'create', status: 'enabled' });
    return [await ask('POST', '/devices', [entry('n1'), { ...entry('n2'), tags: { a: 1 } }])];
  },
  'POST /devices/query': async () => [
    await ask('POST', '/devices/query', { query: 'SELECT * FROM devices' }),
    await ask('POST', '/devices/query', { query: 'SELECT * FROM devices.modules' }),
  ],
  'GET /devices/{id}': () =>
    Promise.all(['d', 'x', 'c', 'e', 'leaf', 'inner'].map((id) => ask('GET', `/devices/${id}`))),
  'PUT /devices/{id}': async () => [
    await ask('PUT', '/devices/new', {}),
    await ask('PUT', '/devices/d', { status: 'disabled' }, anyEtag),
    await ask('PUT', '/devices/edge', { capabilities: { iotEdge: true } }),
  ],
  'DELETE /devices/{id}': async () => [await ask('DELETE', '/devices/d', undefined, anyEtag)],
  'GET /devices/{id}/modules': () =>
    Promise.all(['d', 'e'].map((id) => ask('GET', `/devices/${id}/modules`))),
  'GET /devices/{id}/modules/{mid}': async () => [
    await ask('GET', '/devices/d/modules/m'),
    await ask('GET', '/devices/e/modules/$edgeHub'),
  ],
  'PUT /devices/{id}/modules/{mid}': async () => [
    await ask('PUT', '/devices/d/modules/new', {}),
    await ask('PUT', '/devices/d/modules/m', { managedBy: 'you' }, anyEtag),
  ],
  'DELETE /devices/{id}/modules/{mid}': async () => [
    await ask('DELETE', '/devices/d/modules/m', undefined, anyEtag),
  ],
  'DELETE /devices/{id}/commands': async () => [await ask('DELETE', '/devices/d/commands')],
  'GET /twins/{id}': async () => {
    await putConfiguration();
    return Promise.all(['d', 'x', 'c', 'e', 'leaf', 'inner'].map((id) => ask('GET', `/twins/${id}`)));
  },
  'PUT /twins/{id}': async () => [await ask('PUT', '/twins/d', { tags: { z: 1 } })],
  'PATCH /twins/{id}': async () => [
    await ask('PATCH', '/twins/d', { tags: { a: null }, properties: { desired: { x: 1 } } }),
  ],
  'GET /twins/{id}/modules/{mid}': async () => [
    await ask('GET', '/twins/d/modules/m'),
    await ask('GET', '/twins/e/modules/$edgeAgent'),
  ],
  'PUT /twins/{id}/modules/{mid}': async () => [await ask('PUT', '/twins/d/modules/m', { tags: { z: 1 } })],
  'PATCH /twins/{id}/modules/{mid}': async () => [
    await ask('PATCH', '/twins/d/modules/m', { tags: { z: 1 } }),
  ],
  'POST /jobs/create': async () => {
    const exporting = await startJob();
    await stand.client.ended(jobIdOf(exporting));
    const body = { type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri };
    const importing = await ask('POST', '/jobs/create', { ...body, storageAuthenticationType: 'keyBased' });
    await stand.client.ended(jobIdOf(importing));
    return [exporting, importing];
  },
  'GET /jobs': async () => {
    await finishedJob();
    return [await ask('GET', '/jobs')];
  },
  'GET /jobs/{id}': async () => {
    const jobId = await finishedJob();
    stand.hub.set({ startDelay: 3_600_000 });
    const waiting = jobIdOf(await startJob());
    const answers = await Promise.all([jobId, waiting].map((one) => ask('GET', `/jobs/${one}`)));
    await ask('DELETE', `/jobs/${waiting}`);
    return [...answers, await ask('GET', `/jobs/${waiting}`)];
  },
  'DELETE /jobs/{id}': async () => {
    stand.hub.set({ startDelay: 3_600_000 });
    return [await ask('DELETE', `/jobs/${jobIdOf(await startJob())}`)];
  },
  'GET /jobs/v2/{id}': async () => [await ask('GET', '/jobs/v2/some-job')],
};

describe('replies fit the public description of the service', () => {
  it.each(Object.entries(calls))('%s', async (name, call) => {
    const result = operations[name];
    if (result === undefined || result === 'out of scope') throw new Error(`${name} is not described`);
    for (const answer of await call()) {
      expect.soft(answer.status, answer.text).toBe(result.status);
      if ('nothing' in result) {
        expect.soft(answer.text).toBe('');
        continue;
      }
      expect.soft(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      const body: unknown = JSON.parse(answer.text);
      const found =
        'schema' in result ? schemaFaults(body, result.schema, '') : listFaults(body, result.listOf, '');
      expect.soft(found).toEqual([]);
      if ('listOf' in result) expect.soft(body).not.toEqual([]);
    }
  });

  it('when a bulk write fails, too', async () => {
    const entries = [
      { id: 'd', importMode: 'create', status: 'enabled' },
      { id: 'd', moduleId: 'x', importMode: 'delete', status: 'enabled' },
    ];
    const answer = await ask('POST', '/devices', entries);
    expect(answer.status).toBe(400);
    const body: unknown = JSON.parse(answer.text);
    expect(schemaFaults(body, 'BulkRegistryOperationResult', '')).toEqual([]);
    const errors = (body as { errors: { errorCode: string }[] }).errors.map(({ errorCode }) => errorCode);
    expect(errors).not.toEqual([]);
    expect(errors.filter((name) => !isErrorName(name))).toEqual([]);
  });

  it('with the headers that queries need', async () => {
    const headers = { 'x-ms-max-item-count': '2' };
    const answer = await ask('POST', '/devices/query', { query: 'SELECT * FROM devices' }, headers);
    expect(answer.headers['x-ms-item-type']).toBe('Twin');
    expect(answer.headers['x-ms-continuation']).toBeDefined();
  });
});

describe('the table of operations', () => {
  const names = Object.keys(operations);

  it('has them all called, but those that are out of scope', () => {
    const inScope = names.filter((name) => operations[name] !== 'out of scope');
    expect(Object.keys(calls).toSorted()).toEqual(inScope.toSorted());
  });

  it('is served whole', () => {
    expect(names.filter((name) => !router.names.includes(name))).toEqual([]);
  });

  it('leaves nothing out that the simulator serves, but what devices call and notes of file uploads', () => {
    const others = router.names.filter((name) => !names.includes(name));
    const known =
      /(?:\/devices\/\{id\}\/(?:modules\/\{mid\}\/)?(?:messages|files)|filenotifications|\/messages\/devicebound)/;
    expect(others.filter((name) => !known.test(name))).toEqual([]);
  });
});

describe('the check itself', () => {
  it('finds what does not fit', async () => {
    const device = (await ask('GET', '/devices/d')).json as unknown as Record<string, unknown>;
    const { etag: _etag, ...rest } = device;
    expect(schemaFaults(rest, 'Device', '')).toEqual(['.etag: missing']);
    for (const [change, fault] of [
      [{ status: 'asleep' }, '.status: "asleep"'],
      [{ extra: 1 }, '.extra: not in Device'],
      [{ cloudToDeviceMessageCount: 1.5 }, '.cloudToDeviceMessageCount: 1.5'],
      [{ lastActivityTime: 'yesterday' }, '.lastActivityTime: "yesterday"'],
      [{ etag: null }, '.etag: null'],
      [{ capabilities: { iotEdge: 'yes' } }, '.capabilities.iotEdge: "yes"'],
    ] as const) {
      expect(schemaFaults({ ...device, ...change }, 'Device', '')).toEqual([fault]);
    }
  });
});
