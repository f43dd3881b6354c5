import type { ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asRestBody, configurationLine } from '../../simulator/jobs/configuration-file.js';
import type { JsonObject } from '../../simulator/json.js';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { type Answer, type Body, jobIdOf } from './client.js';
import { nextContainer } from './importing.js';
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
beforeEach(() => stand.hub.reset());

const code = (answer: Answer) =>
  `${answer.status} ${String(answer.headers['iothub-errorcode'] ?? '')}`.trim();
const put = (id: string, body: object = {}) =>
  stand.client.ask('PUT', `/configurations/${id}`, { body: { id, content, ...body } });
const content = { deviceContent: { 'properties.desired.level': { Inner: 1, aB: null } } };
const ids = () => stand.hub.dumpConfigurations().map(({ id }) => id);
const configuration = (id: string) => stand.hub.dumpConfigurations().find((one) => one.id === id);

async function exported(more: object = {}): Promise<ContainerClient> {
  const container = await nextContainer(azurite);
  const outputBlobContainerUri = azurite.uri(container);
  const body = { type: 'export', outputBlobContainerUri, includeConfigurations: true, ...more };
  expect(await stand.client.job(body)).toMatchObject({ status: 'completed' });
  return container;
}

interface Imported {
  readonly job: Body;
  /** Undefined when there is none. */
  readonly log: string | undefined;
  readonly container: ContainerClient;
}

async function imported(
  lines: readonly (string | object)[],
  devices: readonly object[] = [],
  more: object = {},
  place?: ContainerClient,
): Promise<Imported> {
  const container = place ?? (await nextContainer(azurite));
  const text = (all: readonly (string | object)[]) =>
    all.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
  await writeBlob(container, 'devices.txt', text(devices));
  await writeBlob(container, 'configurations.txt', text(lines));
  const uri = azurite.uri(container);
  const job = await stand.client.job({
    type: 'import',
    inputBlobContainerUri: uri,
    outputBlobContainerUri: uri,
    includeConfigurations: true,
    ...more,
  });
  const there = await container.getBlobClient('importConfigErrors.log').exists();
  return { job, log: there ? await readBlob(container, 'importConfigErrors.log') : undefined, container };
}

const entries = (log: string | undefined) =>
  (log ?? '')
    .split('\r\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as { configurationId?: string; errorCode: number; errorStatus: string });
const line = (id: string, more: object = {}) => ({ id, content, ...more });

describe('an export with configurations', () => {
  it('writes one per line, names in PascalCase, user content as it is', async () => {
    stand.hub.loadConfigurations([
      {
        id: 'c1',
        schemaVersion: '1.0',
        labels: { aLabel: 'x' },
        content,
        targetCondition: "tags.site='x'",
        createdTimeUtc: '2024-01-02T03:04:05.678Z',
        lastUpdatedTimeUtc: '2024-01-02T03:04:05.678Z',
        priority: 7,
        metrics: { queries: { aMetric: 'SELECT deviceId FROM devices' } },
        etag: 'Mw==',
      },
      { id: 'c2' },
    ]);
    const text = await readBlob(await exported(), 'configurations.txt');
    const [first, second, end, ...more] = text.split('\r\n');
    expect(JSON.parse(first ?? '')).toEqual({
      Id: 'c1',
      SchemaVersion: '1.0',
      Labels: { aLabel: 'x' },
      Content: { DeviceContent: content.deviceContent },
      TargetCondition: "tags.site='x'",
      CreatedTimeUtc: '2024-01-02T03:04:05.678Z',
      LastUpdatedTimeUtc: '2024-01-02T03:04:05.678Z',
      Priority: 7,
      SystemMetrics: {
        Results: {},
        Queries: {
          targetedCount: "select deviceId from devices where tags.site='x'",
          appliedCount: "select deviceId from devices where configurations.[[c1]].status = 'Applied'",
        },
      },
      Metrics: { Results: {}, Queries: { aMetric: 'SELECT deviceId FROM devices' } },
      ETag: 'Mw==',
    });
    expect(JSON.parse(second ?? '')).toMatchObject({ Id: 'c2' });
    expect([end, ...more]).toEqual(['']);
  });

  it('writes names as the switch says', () => {
    const one: JsonObject = { id: 'c', content: { deviceContent: {} }, etag: 'MQ==' };
    expect(configurationLine(one, 'camel')).toBe('{"id":"c","content":{"deviceContent":{}},"etag":"MQ=="}');
    expect(configurationLine(one, 'pascalTop')).toBe(
      '{"Id":"c","Content":{"deviceContent":{}},"ETag":"MQ=="}',
    );
    expect(configurationLine(one, 'pascal')).toBe('{"Id":"c","Content":{"DeviceContent":{}},"ETag":"MQ=="}');
  });

  it('writes to the blob that was asked for, replaces it, and writes an empty one for nothing', async () => {
    await put('c1');
    const container = await exported({ configurationsBlobName: 'mine.txt' });
    expect(await readBlob(container, 'mine.txt')).toMatch(/^\{"Id":"c1"/);
    expect(await container.getBlobClient('configurations.txt').exists()).toBe(false);
    stand.hub.clear();
    expect(await readBlob(await exported(), 'configurations.txt')).toBe('');
  });

  it('follows the switches for line ends and the byte order mark', async () => {
    await put('c1');
    await put('c2');
    stand.hub.set({ exportLineEnd: 'lf', exportFinalLineEnd: false, exportBom: true });
    const text = await readBlob(await exported(), 'configurations.txt');
    expect(text.startsWith('\uFEFF{')).toBe(true);
    expect(text.split('\n')).toHaveLength(2);
    expect(text).not.toContain('\r');
  });

  it('does so only when it is asked to', async () => {
    await put('c1');
    const container = await exported({ includeConfigurations: false });
    expect(await container.getBlobClient('configurations.txt').exists()).toBe(false);
    const outputBlobContainerUri = azurite.uri(container);
    const odd = { type: 'export', outputBlobContainerUri, includeConfigurations: 'yes' };
    expect(code(await stand.client.ask('POST', '/jobs/create', { body: odd }))).toBe('400 ArgumentInvalid');
  });
});

describe('an import with configurations', () => {
  it('of an export gives the same configurations, in every spelling', async () => {
    const contents = [
      content,
      { moduleContent: { 'properties.desired': { A: 1 } } },
      { modulesContent: { $edgeAgent: { 'properties.desired': { modules: { m: {} } } } } },
    ];
    for (const exportConfigurationCase of ['pascal', 'pascalTop', 'camel'] as const) {
      stand.hub.reset();
      stand.hub.set({ exportConfigurationCase });
      for (const [i, one] of contents.entries()) {
        await put(`c${i}`, {
          content: one,
          priority: i,
          labels: { L: 'x' },
          targetCondition: i === 1 ? "FROM devices.modules WHERE tags.A='x'" : "tags.A='x'",
          metrics: { queries: { M: 'SELECT deviceId FROM devices' } },
        });
      }
      const before = stand.hub.dumpConfigurations();
      const text = await readBlob(await exported(), 'configurations.txt');
      stand.hub.clear();
      const { job, log } = await imported(text.split('\r\n'));
      expect(job).toMatchObject({ status: 'completed' });
      expect(log).toBe('');
      const same = (all: readonly JsonObject[]) =>
        all.map(({ createdTimeUtc: _created, lastUpdatedTimeUtc: _updated, ...rest }) => rest);
      expect(same(stand.hub.dumpConfigurations())).toEqual(same(before));
    }
  });

  it('takes names of the schema in any case, and leaves those of users alone', () => {
    const given = {
      ID: 'c',
      TARGETCONDITION: '*',
      content: { DEVICECONTENT: { 'properties.desired.ID': { Content: 1 } } },
      Metrics: { QUERIES: { Results: 'q' } },
      Unknown: { Id: 1 },
      ImportMode: 'x',
    };
    expect(asRestBody(given)).toEqual({
      id: 'c',
      targetCondition: '*',
      content: { deviceContent: { 'properties.desired.ID': { Content: 1 } } },
      metrics: { queries: { Results: 'q' } },
      Unknown: { Id: 1 },
      importMode: 'x',
    });
  });

  it('with createOrUpdateIfMatchETag creates, and updates only with the right etag', async () => {
    const importMode = 'CreateOrUpdateIfMatchETag';
    await put('right');
    await put('wrong');
    await put('without');
    const { job, log } = await imported([
      line('new', { importMode, etag: 'c3RhbGU=' }),
      line('right', { importMode, etag: 'MQ==', priority: 5 }),
      line('wrong', { importMode, etag: 'Mg==', priority: 5 }),
      line('without', { importMode, priority: 5 }),
    ]);
    expect(job).toMatchObject({ status: 'completed', failureReason: null });
    expect(entries(log).map((entry) => [entry.configurationId, entry.errorCode])).toEqual([
      ['wrong', 412001],
      ['without', 412001],
    ]);
    expect(configuration('new')).toMatchObject({ etag: 'MQ==' });
    expect(configuration('right')).toMatchObject({ priority: 5, etag: 'Mg==' });
    expect(configuration('wrong')).toMatchObject({ priority: 0 });
    expect(configuration('without')).toMatchObject({ priority: 0 });
  });

  it('without a mode updates whatever the etag is; by switch it refuses', async () => {
    await put('c1');
    const lines = [line('c1', { priority: 5, etag: 'c3RhbGU=' }), line('c2', { importMode: null })];
    expect((await imported(lines)).log).toBe('');
    expect(configuration('c1')).toMatchObject({ priority: 5 });
    expect(ids()).toEqual(['c1', 'c2']);
    stand.hub.set({ importConfigurationMode: 'refuse' });
    const { log } = await imported([line('c3')]);
    expect(entries(log)).toMatchObject([{ errorCode: 400012 }]);
    expect(ids()).not.toContain('c3');
  });

  it('refuses other modes, numbers by switch', async () => {
    const lines = [line('c1', { importMode: 'create' }), line('c2', { importMode: 4 })];
    expect(entries((await imported(lines)).log).map((entry) => entry.errorCode)).toEqual([400012, 400012]);
    stand.hub.set({ importModeNumbers: 'accept' });
    expect(entries((await imported(lines)).log)).toHaveLength(1);
    expect(ids()).toEqual(['c2']);
  });

  it('logs bad lines, with the id where it is known, and goes on', async () => {
    stand.hub.set({ maxConfigurations: 1 });
    const { job, log } = await imported([
      'WARNING: this is no JSON',
      '[1]',
      {},
      line('Upper'),
      line('none', { content: undefined }),
      line('target', { targetCondition: 'tags.' }),
      line('good'),
      line('full'),
    ]);
    expect(job).toMatchObject({ status: 'completed' });
    expect(entries(log).map((entry) => [entry.configurationId, entry.errorCode])).toEqual([
      [undefined, 400012],
      [undefined, 400012],
      [undefined, 400012],
      ['Upper', 400004],
      ['none', 400402],
      ['target', 400401],
      ['full', 413101],
    ]);
    expect(entries(log)[0]?.errorStatus).toContain('WARNING: this is no JSON');
    expect(ids()).toEqual(['good']);
  });

  it('follows the switches of error logs', async () => {
    stand.hub.set({ errorLogRepeat: 3 });
    const { container } = await imported(['bad']);
    stand.hub.set({ errorLogRepeat: 1, errorLogExisting: 'append' });
    expect(entries((await imported(['worse'], [], {}, container)).log)).toHaveLength(4);
    stand.hub.set({ errorLogClean: 'none' });
    expect((await imported([line('c1')])).log).toBeUndefined();
  });

  it('acts on the devices of the same job, before or after them as the switch says', async () => {
    const devices = [
      { id: 'e', status: 'enabled', capabilities: { iotEdge: true } },
      { id: 'e', status: 'enabled', moduleId: 'm', importMode: 'create' },
    ];
    const modulesContent = {
      $edgeAgent: { 'properties.desired': { modules: { m: {} } } },
      m: { 'properties.desired': { level: 3 } },
    };
    const lines = [line('c1', { content: { modulesContent }, targetCondition: '*' })];
    const after = await imported(lines, devices);
    expect(await readBlob(after.container, 'importErrors.log')).toBe('');
    expect(stand.hub.record('e', 'm')).toMatchObject({
      desired: { level: 3 },
      authentication: { type: 'sas' },
    });
    stand.hub.clear();
    stand.hub.set({ jobConfigurationsOrder: 'configurationsFirst' });
    const before = await imported(lines, devices);
    const log = await readBlob(before.container, 'importErrors.log');
    expect(JSON.parse(log)).toMatchObject({ deviceId: 'e', moduleId: 'm', errorCode: 409301 });
    expect(stand.hub.record('e', 'm')).toMatchObject({
      desired: { level: 3 },
      authentication: { type: 'none' },
    });
  });

  it('needs its blob: at the creation, or by switch while it runs', async () => {
    const container = await nextContainer(azurite);
    await writeBlob(container, 'devices.txt', '');
    const uri = azurite.uri(container);
    const body = {
      type: 'import',
      inputBlobContainerUri: uri,
      outputBlobContainerUri: uri,
      includeConfigurations: true,
      configurationsBlobName: 'missing.txt',
    };
    const refused = await stand.client.ask('POST', '/jobs/create', { body });
    expect(code(refused)).toBe('400 BlobContainerValidationError');
    expect(refused.text).toContain('missing.txt');
    stand.hub.set({ missingInputBlob: 'failJob' });
    expect(await stand.client.job(body)).toMatchObject({ status: 'failed' });
  });

  it('shows what was asked for in the reply of the create', async () => {
    const outputBlobContainerUri = azurite.uri(await nextContainer(azurite));
    const more = { includeConfigurations: true, configurationsBlobName: 'mine.txt' };
    const created = await stand.client.ask('POST', '/jobs/create', {
      body: { type: 'export', outputBlobContainerUri, ...more },
    });
    expect(created.json).toMatchObject(more);
    await stand.client.ended(jobIdOf(created));
  });
});
