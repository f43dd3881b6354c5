import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SimulatorAdmin } from '../../simulator/index.js';
import { type Answer, type Ask, asText } from './client.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({}, 0);
});
afterAll(() => stand.close());
beforeEach(() => stand.hub.reset());

const code = (answer: Answer) =>
  `${answer.status} ${String(answer.headers['iothub-errorcode'] ?? '')}`.trim();
const path = (id: string) => `/configurations/${encodeURIComponent(id)}`;
const get = (id: string) => stand.client.ask('GET', path(id));
const content = { deviceContent: { 'properties.desired.level': 3 } };
const put = (id: string, body: object = {}, ifMatch?: string) =>
  stand.client.ask('PUT', path(id), {
    body: { id, content, ...body },
    ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
  });
const remove = (id: string, ifMatch?: string) =>
  stand.client.ask('DELETE', path(id), ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } });

describe('configurations', () => {
  it('are created with what the service adds', async () => {
    stand.sim.clock.setSpeed(0);
    const at = new Date(stand.sim.clock.now()).toISOString();
    const made = await put('c1');
    expect(code(made)).toBe('200');
    expect(made.headers.etag).toBe('"MQ=="');
    expect(made.json).toEqual({
      id: 'c1',
      schemaVersion: null,
      labels: null,
      content,
      targetCondition: '',
      createdTimeUtc: at,
      lastUpdatedTimeUtc: at,
      priority: 0,
      systemMetrics: {
        results: { targetedCount: 0, appliedCount: 0 },
        queries: {
          targetedCount: 'select deviceId from devices',
          appliedCount: "select deviceId from devices where configurations.[[c1]].status = 'Applied'",
        },
      },
      metrics: { results: {}, queries: {} },
      etag: 'MQ==',
    });
    const read = await get('c1');
    expect(read.json).toEqual(made.json);
    expect(read.headers.etag).toBe('"MQ=="');
    expect((await stand.client.ask('GET', '/configurations?top=0')).json).toEqual([made.json]);
    stand.sim.clock.reset();
  });

  it('follow the If-Match rules', async () => {
    const etag = asText((await put('c1')).json.etag);
    expect(code(await put('c1'))).toBe('409 ConfigurationAlreadyExists');
    // An unquoted etag counts as none: that is misleading, and seen.
    expect(code(await put('c1', {}, etag))).toBe('409 ConfigurationAlreadyExists');
    expect(code(await put('c1', {}, '"c3RhbGU="'))).toBe('412 PreconditionFailed');
    expect(code(await put('missing', {}, '"*"'))).toBe('404 ConfigurationNotFound');
    const updated = await put('c1', { priority: 7, labels: { a: 'b' } }, `"${etag}"`);
    expect(updated.json).toMatchObject({ priority: 7, labels: { a: 'b' }, etag: 'Mg==' });
    expect(code(await put('c1', {}, `"${etag}"`))).toBe('412 PreconditionFailed');
    expect((await put('c1', { schemaVersion: '1.0' }, '"*"')).json).toMatchObject({
      schemaVersion: '1.0',
      priority: 0,
      labels: null,
      etag: 'Mw==',
    });
    expect(code(await put('c1', {}, '*'))).toBe('200');
  });

  it('are deleted with and without If-Match', async () => {
    for (const [ifMatch, expected] of [
      ['"c3RhbGU="', '412 PreconditionFailed'],
      ['"MQ=="', '204'],
      [undefined, '204'],
      ['"*"', '204'],
    ] as const) {
      await put('c1');
      expect(code(await remove('c1', ifMatch)), String(ifMatch)).toBe(expected);
      if (expected !== '204') await remove('c1');
      expect(code(await get('c1'))).toBe('404 ConfigurationNotFound');
    }
    expect(code(await remove('c1'))).toBe('404 ConfigurationNotFound');
  });

  it('keep their content: an update must bring one, and it is ignored', async () => {
    await put('c1');
    const other = { deviceContent: { 'properties.desired.other': 1 } };
    const updated = await put('c1', { content: other, targetCondition: '*' }, '"*"');
    expect(code(updated)).toBe('200');
    expect(updated.json).toMatchObject({ content, targetCondition: '*' });
    expect(updated.json.content).not.toHaveProperty('deviceContent.properties.desired.other');
    expect(code(await put('c1', { content: undefined }, '"*"'))).toBe('400 InvalidConfigurationContent');
  });

  it.each([
    ["c-1+%_*!'", '200'],
    ['a'.repeat(128), '200'],
    ['a'.repeat(129), '400 ArgumentInvalid'],
    ['Upper', '400 ArgumentInvalid'],
    ['a.b', '400 ArgumentInvalid'],
    ['a b', '400 ArgumentInvalid'],
  ])('with the id %j answer %s', async (id, expected) => {
    expect(code(await put(id))).toBe(expected);
  });

  it('have the id of the path', async () => {
    expect(code(await put('c1', { id: 'c2' }))).toBe('400 ArgumentInvalid');
    expect(code(await put('c1', { id: undefined }))).toBe('200');
  });

  it.each([
    [{ deviceContent: { 'properties.desired': { a: 1 } } }, '200'],
    [{ deviceContent: { 'properties.desired.a.b': null } }, '200'],
    [{ deviceContent: content.deviceContent, moduleContent: null, modulesContent: {} }, '200'],
    [{ modulesContent: { $edgeAgent: {}, $edgeHub: { 'properties.desired.routes.r': 'x' } } }, '200'],
    [{ modulesContent: { $edgeAgent: { 'properties.desired.modules.m': { a: 1 } } } }, '200'],
    [{}, '400 InvalidConfigurationContent'],
    [null, '400 InvalidConfigurationContent'],
    ['text', '400 InvalidConfigurationContent'],
    [{ deviceContent: { 'tags.x': 1 } }, '400 InvalidConfigurationContent'],
    [{ deviceContent: { 'properties.reported.x': 1 } }, '400 InvalidConfigurationContent'],
    [{ deviceContent: { 'properties.desired.': 1 } }, '400 InvalidConfigurationContent'],
    [{ deviceContent: { 'properties.desired': 1 } }, '400 InvalidConfigurationContent'],
    [{ deviceContent: { [`properties.desired${'.a'.repeat(11)}`]: 1 } }, '400 InvalidConfigurationContent'],
    [{ deviceContent: [] }, '400 InvalidConfigurationContent'],
    [
      { ...content, modulesContent: { $edgeAgent: { 'properties.desired': {} } } },
      '400 InvalidConfigurationContent',
    ],
    [{ modulesContent: { $edgeHub: { 'properties.desired': {} } } }, '400 InvalidConfigurationContent'],
    [{ modulesContent: { $edgeAgent: {}, 'a b': {} } }, '400 InvalidConfigurationContent'],
    [{ modulesContent: { $edgeAgent: {}, $other: {} } }, '400 InvalidConfigurationContent'],
    [{ modulesContent: { $edgeAgent: 1 } }, '400 InvalidConfigurationContent'],
  ])('with the content %j answer %s', async (given, expected) => {
    expect(code(await put('c1', { content: given }))).toBe(expected);
  });

  it('have 50 modules at most, those of $edgeAgent and those with settings together', async () => {
    const modules = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`m${n}`, {}]));
    const edge = (more: object) => ({
      modulesContent: { $edgeAgent: { 'properties.desired': { modules: modules(50) } }, m0: {}, ...more },
    });
    expect(code(await put('fits', { content: edge({}) }))).toBe('200');
    expect(code(await put('not', { content: edge({ another: {} }) }))).toBe(
      '400 InvalidConfigurationContent',
    );
  });

  it.each([
    ['*', '200'],
    ['', '200'],
    ["tags.site='x' AND NOT properties.reported.level > 3", '200'],
    ["deviceId IN ['a', 'b']", '200'],
    ['tags.site =', '400 InvalidConfigurationTargetCondition'],
    ['properties.desired.level = 1', '400 InvalidConfigurationTargetCondition'],
    ["status = 'enabled'", '400 InvalidConfigurationTargetCondition'],
    ["FROM devices.modules WHERE moduleId='m'", '400 InvalidConfigurationTargetCondition'],
  ])('with the target condition %j answer %s', async (targetCondition, expected) => {
    expect(code(await put('c1', { targetCondition }))).toBe(expected);
  });

  it('for modules name the collection', async () => {
    const ofModules = { moduleContent: { 'properties.desired.level': 3 } };
    const putModules = (targetCondition: string) => put('c1', { content: ofModules, targetCondition });
    expect(code(await putModules("moduleId='m'"))).toBe('400 InvalidConfigurationTargetCondition');
    const made = await putModules("FROM devices.modules WHERE moduleId='m'");
    expect(made.json.systemMetrics).toMatchObject({
      queries: { targetedCount: "select deviceId, moduleId from devices.modules where moduleId='m'" },
    });
  });

  it.each([
    [{ m: 'SELECT deviceId FROM devices' }, '200'],
    [{ m: "select deviceId from devices where configurations.[[c1]].status = 'Applied'" }, '200'],
    [{ m: 'SELEC' }, '400 InvalidConfigurationCustomMetricsQuery'],
    [{ m: 1 }, '400 InvalidConfigurationCustomMetricsQuery'],
    [
      Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [`m${n}`, 'SELECT deviceId FROM devices'])),
      '400 InvalidConfigurationCustomMetricsQuery',
    ],
  ])('with the metrics %j answer %s', async (queries, expected) => {
    expect(code(await put('c1', { metrics: { queries } }))).toBe(expected);
  });

  it.each([
    [{ priority: -1 }],
    [{ priority: 1.5 }],
    [{ priority: '1' }],
    [{ labels: { a: 1 } }],
    [{ labels: [] }],
    [{ targetCondition: 1 }],
    [{ metrics: 1 }],
  ])('with %j are refused', async (body) => {
    expect(code(await put('c1', body))).toBe('400 ArgumentInvalid');
    expect(code(await get('c1'))).toBe('404 ConfigurationNotFound');
  });

  it('are limited in number, in the free tier to 10', async () => {
    const refused = '413 ConfigurationCountLimitExceeded';
    stand.hub.set({ maxConfigurations: 2 });
    expect(code(await put('c1'))).toBe('200');
    expect(code(await put('c2'))).toBe('200');
    expect(code(await put('c3'))).toBe(refused);
    expect(code(await put('c2', {}, '"*"'))).toBe('200');
    stand.hub.set({ maxConfigurations: 100, tier: 'F1' });
    stand.hub.loadConfigurations(Array.from({ length: 7 }, (_, n) => ({ id: `more${n}` })));
    expect(code(await put('tenth'))).toBe('200');
    expect(code(await put('eleventh'))).toBe(refused);
  });

  it('do not exist in basic tiers', async () => {
    stand.hub.set({ tier: 'B1' });
    expect(code(await put('c1'))).toBe('403 OperationNotAvailableInCurrentTier');
  });

  it('need registryReadWrite, or the owner by switch', async () => {
    const ask = (policy: Ask['policy']) =>
      stand.client.ask('GET', '/configurations', policy === undefined ? {} : { policy });
    expect(code(await ask('registryReadWrite'))).toBe('200');
    expect(code(await ask('service'))).toBe('401 IotHubUnauthorizedAccess');
    stand.hub.set({ configurationsPolicy: 'owner' });
    expect(code(await ask('registryReadWrite'))).toBe('401 IotHubUnauthorizedAccess');
    expect(code(await ask('iothubowner'))).toBe('200');
  });
});

describe('testQueries', () => {
  const ask = async (body: object) =>
    (await stand.client.ask('POST', '/configurations/testQueries', { body })).json;

  it('finds nothing wrong in good queries', async () => {
    const good = { targetCondition: "tags.site='x'", customMetricQueries: { m: 'SELECT * FROM devices' } };
    expect(await ask(good)).toEqual({ targetConditionError: null, customMetricQueryErrors: {} });
    expect(await ask({})).toEqual({ targetConditionError: null, customMetricQueryErrors: {} });
    expect(await ask({ targetCondition: 'from devices.modules where tags.x = 1' })).toMatchObject({
      targetConditionError: null,
    });
  });

  it('answers 200 with the errors in the body', async () => {
    const result = await ask({
      targetCondition: 'tags.site =',
      customMetricQueries: { good: 'SELECT * FROM devices', bad: 'SELEC' },
    });
    expect(asText(result.targetConditionError)).toContain('target condition is invalid');
    expect(Object.keys(result.customMetricQueryErrors ?? {})).toEqual(['bad']);
  });

  it('refuses the * that PUT takes', async () => {
    expect(asText((await ask({ targetCondition: '*' })).targetConditionError)).toContain('invalid');
  });

  it('refuses a body of another shape', async () => {
    const bad = await stand.client.ask('POST', '/configurations/testQueries', {
      body: { targetCondition: 1 },
    });
    expect(code(bad)).toBe('400 ArgumentInvalid');
  });
});

describe('a dump', () => {
  it('restores configurations and what they did', async () => {
    const { hub } = stand;
    hub.load([{ deviceId: 'd', tags: { site: 'x' } }]);
    await put('c1', { targetCondition: "tags.site='x'", priority: 3 });
    await put('c1', { targetCondition: "tags.site='x'", priority: 4, labels: { a: 'b' } }, '"*"');
    await put('c2', { metrics: { queries: { all: 'SELECT deviceId FROM devices' } } });
    const before = { records: [...hub.dump()], configurations: hub.dumpConfigurations() };
    hub.clear();
    expect(hub.dumpConfigurations()).toEqual([]);
    hub.loadConfigurations(before.configurations);
    hub.load(before.records);
    expect([...hub.dump()]).toEqual(before.records);
    expect(hub.dumpConfigurations()).toEqual(before.configurations);
    expect((await get('c1')).json.systemMetrics).toMatchObject({ results: { appliedCount: 1 } });
  });

  it('comes and goes through the admin API, too', async () => {
    const admin = new SimulatorAdmin(stand.sim.adminPort ?? 0).hub('a');
    await put('c1');
    const dumped = await admin.configurations();
    expect(dumped).toEqual(stand.hub.dumpConfigurations());
    stand.hub.clear();
    await admin.loadConfigurations(dumped);
    expect(await admin.configurations()).toEqual(dumped);
  });

  it('with oddities is loaded all the same', async () => {
    stand.hub.loadConfigurations([
      { id: 'No Legal Id', targetCondition: 'tags.', priority: 2, content: { deviceContent: { x: 1 } } },
      { id: 'bare' },
    ]);
    expect((await get('No Legal Id')).json).toMatchObject({
      priority: 2,
      content: { deviceContent: { x: 1 } },
    });
    expect((await get('bare')).json).toMatchObject({
      etag: 'MQ==',
      content: {},
      systemMetrics: { results: {} },
    });
    expect(() => stand.hub.loadConfigurations([{}])).toThrow('needs an id');
  });
});
