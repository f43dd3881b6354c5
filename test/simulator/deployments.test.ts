import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../simulator/json.js';
import { until } from '../support/until.js';
import { type Azurite, startAzurite } from './azurite.js';
import type { Answer } from './client.js';
import { importLines, type Line } from './importing.js';
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
beforeEach(() => {
  stand.sim.clock.reset();
  stand.hub.reset();
});

const code = (answer: Answer) =>
  `${answer.status} ${String(answer.headers['iothub-errorcode'] ?? '')}`.trim();
const ask = (method: string, path: string, body?: object, ifMatch?: string) =>
  stand.client.ask(method, path, {
    ...(body === undefined ? {} : { body }),
    ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
  });
const put = (id: string, body: object, ifMatch?: string) =>
  ask('PUT', `/configurations/${id}`, { id, ...body }, ifMatch);
const desired = (deviceId: string, moduleId?: string) => stand.hub.record(deviceId, moduleId)?.desired;
const statuses = (deviceId: string, moduleId?: string) =>
  stand.hub.record(deviceId, moduleId)?.configurations;
const results = async (id: string) => (await ask('GET', `/configurations/${id}`)).json.systemMetrics?.results;
const tag = (deviceId: string, site: string | null) => ask('PATCH', `/twins/${deviceId}`, { tags: { site } });

/** A device configuration for devices tagged with a site. */
const forSite = (site: string, settings: JsonObject, priority = 0) => ({
  content: {
    deviceContent: Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [`properties.desired.${name}`, value]),
    ),
  },
  targetCondition: `tags.site='${site}'`,
  priority,
});

async function importedLog(lines: readonly object[]): Promise<string | undefined> {
  const { job, log } = await importLines(stand, azurite, lines as readonly Line[]);
  expect(job).toMatchObject({ status: 'completed' });
  return log;
}

describe('device configurations', () => {
  it('write to the twins that they target when they are created', async () => {
    stand.hub.load([
      { deviceId: 'in', tags: { site: 'x' }, desired: { mine: 1, level: 1 } },
      { deviceId: 'out', tags: { site: 'y' } },
    ]);
    await put('c', forSite('x', { level: 3, deep: { a: 1 } }));
    expect(desired('in')).toEqual({ mine: 1, level: 3, deep: { a: 1 } });
    expect(desired('out')).toEqual({});
    const twin = await ask('GET', '/twins/in');
    expect(twin.json).toMatchObject({
      version: 2,
      properties: { desired: { $version: 2 } },
      configurations: { c: { status: 'Applied' } },
    });
    expect((await ask('GET', '/twins/out')).json).not.toHaveProperty('configurations');
    expect(await results('c')).toEqual({ targetedCount: 1, appliedCount: 1 });
  });

  it('with * target all devices, without a condition none', async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    const { content } = forSite('', { level: 3 });
    await put('none', { content });
    expect(statuses('a')).toBeUndefined();
    await put('all', { content, targetCondition: '*' });
    expect(desired('a')).toEqual({ level: 3 });
    expect(await results('all')).toEqual({ targetedCount: 2, appliedCount: 2 });
  });

  it('write to a twin when it comes to be targeted, and only then', async () => {
    await put('c', forSite('x', { level: 3 }));
    await ask('PUT', '/devices/d', {});
    expect(desired('d')).toEqual({});
    await tag('d', 'x');
    expect(desired('d')).toEqual({ level: 3 });
    // What is written over it stays until the configuration is written again (seen live with manifests).
    await ask('PATCH', '/twins/d', { tags: { other: 1 }, properties: { desired: { level: 9 } } });
    expect(desired('d')).toEqual({ level: 9 });
    await put('c', { ...forSite('x', { level: 3 }), labels: { new: 'label' } }, '"*"');
    expect(desired('d')).toEqual({ level: 3 });
  });

  it('win by priority, then by the time of their creation', async () => {
    stand.hub.load([{ deviceId: 'd', tags: { site: 'x' } }]);
    await put('low', forSite('x', { level: 1, low: 1, part: { a: 1, b: 1 } }, 1));
    await put('older', forSite('x', { level: 2, tie: 'older' }, 5));
    await put('newer', forSite('x', { level: 3, tie: 'newer', 'part.b': 2 }, 5));
    expect(desired('d')).toEqual({ level: 3, tie: 'newer', low: 1, part: { a: 1, b: 2 } });
    expect(statuses('d')).toEqual({
      low: { status: 'Applied' },
      older: { status: 'Targeted' },
      newer: { status: 'Applied' },
    });
    expect(await results('older')).toEqual({ targetedCount: 1, appliedCount: 0 });
  });

  it('hand over to the next one when they are deleted', async () => {
    stand.hub.load([{ deviceId: 'd', tags: { site: 'x' } }]);
    await put('low', forSite('x', { level: 1 }, 1));
    await put('high', forSite('x', { level: 2, more: 1 }, 2));
    expect(desired('d')).toEqual({ level: 2, more: 1 });
    await ask('DELETE', '/configurations/high');
    expect(desired('d')).toEqual({ level: 1, more: 1 });
    expect(statuses('d')).toEqual({ low: { status: 'Applied' } });
  });

  it('leave their values behind; by switch they take them along', async () => {
    const settings = { level: 3, deep: { a: 1 } };
    stand.hub.load([{ deviceId: 'd', tags: { site: 'x' }, desired: { deep: { mine: 1 } } }]);
    await put('c', forSite('x', settings));
    await tag('d', 'y');
    expect(desired('d')).toEqual({ level: 3, deep: { a: 1, mine: 1 } });
    expect(statuses('d')).toBeUndefined();
    expect(await results('c')).toEqual({ targetedCount: 0, appliedCount: 0 });
    stand.hub.set({ configurationRemoval: 'remove' });
    await tag('d', 'x');
    await tag('d', 'y');
    expect(desired('d')).toEqual({ deep: { mine: 1 } });
    await tag('d', 'x');
    expect(desired('d')).toEqual({ level: 3, deep: { a: 1, mine: 1 } });
    await ask('DELETE', '/configurations/c');
    expect(desired('d')).toEqual({ deep: { mine: 1 } });
  });

  it('remove with null, set whole sections, and take __proto__ for a name', async () => {
    stand.hub.load([{ deviceId: 'd', tags: { site: 'x' }, desired: { old: 1, kept: 1 } }]);
    const whole = JSON.parse('{"properties.desired":{"__proto__":{"a":1},"old":null}}') as object;
    await put('c', { content: { deviceContent: whole }, targetCondition: '*' });
    expect(JSON.stringify(desired('d'))).toBe('{"kept":1,"__proto__":{"a":1}}');
  });

  it('that fit into no twin are not applied', async () => {
    stand.hub.load([{ deviceId: 'd', tags: { site: 'x' }, desired: { mine: 1 } }]);
    await put('c', forSite('x', { level: 'y'.repeat(5000) }));
    expect(desired('d')).toEqual({ mine: 1 });
    expect(statuses('d')).toEqual({ c: { status: 'Targeted' } });
    expect(await results('c')).toEqual({ targetedCount: 1, appliedCount: 0 });
  });

  it('are only kept when configurations do not act', async () => {
    stand.hub.set({ configurationsAct: false });
    stand.hub.load([{ deviceId: 'd', tags: { site: 'x' } }]);
    await put('c', forSite('x', { level: 3 }));
    await tag('d', 'x');
    expect(desired('d')).toEqual({});
    expect(await results('c')).toEqual({});
  });

  it('act late when there is a lag', async () => {
    const { hub, sim } = stand;
    sim.clock.setSpeed(0);
    hub.set({ configurationLag: 60_000 });
    hub.load([{ deviceId: 'd', tags: { site: 'x' } }]);
    await put('c', forSite('x', { level: 3 }));
    await ask('PUT', '/devices/late', {});
    expect(await results('c')).toEqual({});
    sim.clock.advance(59_000);
    await tag('late', 'x');
    expect(desired('d')).toEqual({});
    sim.clock.advance(1_000);
    await until('the configuration acts', () => desired('d')?.level === 3);
    // Who was waited for already is looked at as it is then.
    await until('it acts on the other one', () => desired('late')?.level === 3);
    expect(await results('c')).toEqual({ targetedCount: 2, appliedCount: 2 });
  });

  it('act on each change when several wait for the lag', async () => {
    const { hub, sim } = stand;
    hub.load([{ deviceId: 'd', tags: { site: 'x' } }]);
    await put('c', forSite('x', { level: 1 }));
    sim.clock.setSpeed(0);
    hub.set({ configurationLag: 1_000, configurationRemoval: 'remove' });
    await ask('DELETE', '/configurations/c');
    await put('c', forSite('x', { other: 2 }));
    expect(desired('d')).toEqual({ level: 1 });
    sim.clock.advance(1_000);
    await until('both changes acted', () => desired('d')?.other === 2);
    expect(desired('d')).toEqual({ other: 2 });
    expect(await results('c')).toEqual({ targetedCount: 1, appliedCount: 1 });
    await put('c2', forSite('x', { late: 3 }));
    hub.clear();
    hub.load([{ deviceId: 'd', tags: { site: 'x' } }]);
    sim.clock.advance(10_000);
    expect(desired('d')).toEqual({});
  });

  it('go through a large hub in steps', async () => {
    const count = 12_000;
    stand.hub.load(Array.from({ length: count }, (_, n) => ({ deviceId: `d${n}`, tags: { site: 'x' } })));
    await put('c', forSite('x', { level: 3 }));
    await until('the last device is reached', () => desired(`d${count - 1}`)?.level === 3);
    expect(await until('it has results', async () => (await results('c'))?.appliedCount)).toBe(count);
    await ask('DELETE', '/configurations/c');
    await until('the last device is left', () => statuses(`d${count - 1}`) === undefined);
  });

  it('count what custom metrics select', async () => {
    stand.hub.load([
      { deviceId: 'a', reported: { state: 'ok' }, tags: { site: 'x' } },
      { deviceId: 'b', reported: { state: 'bad' }, tags: { site: 'x' } },
    ]);
    const queries = {
      ok: "SELECT deviceId FROM devices WHERE properties.reported.state = 'ok'",
      applied: "SELECT deviceId FROM devices WHERE configurations.[[c]].status = 'Applied'",
    };
    await put('c', { ...forSite('x', { level: 1 }), metrics: { queries } });
    const { json } = await ask('GET', '/configurations/c');
    expect(json.metrics).toEqual({ results: { ok: 1, applied: 2 }, queries });
  });

  it('agree with the queries that they name', async () => {
    stand.hub.load(
      ['x', 'x', 'y'].map((site, n) => ({ deviceId: `d${n}`, tags: { site }, reported: { n } })),
    );
    await put('c', forSite('x', { level: 1 }));
    const { json } = await ask('GET', '/configurations/c');
    const { queries, results: counted } = json.systemMetrics as unknown as Record<string, JsonObject>;
    for (const name of ['targetedCount', 'appliedCount']) {
      const rows = await ask('POST', '/devices/query', { query: queries?.[name] });
      expect(rows.json, name).toHaveLength(Number(counted?.[name]));
    }
  });
});

describe('module configurations', () => {
  it('write to the twins of modules, never to system modules', async () => {
    stand.hub.load([
      { deviceId: 'e', iotEdge: true },
      { deviceId: 'e', moduleId: 'm', tags: { site: 'x' } },
      { deviceId: 'e', moduleId: 'other' },
    ]);
    const content = { moduleContent: { 'properties.desired.level': 3 } };
    await put('tagged', { content, targetCondition: "FROM devices.modules WHERE tags.site='x'" });
    expect(desired('e', 'm')).toEqual({ level: 3 });
    expect(desired('e', 'other')).toEqual({});
    await put('all', { content, targetCondition: 'FROM devices.modules', priority: 1 });
    expect(desired('e', 'other')).toEqual({ level: 3 });
    expect(desired('e', '$edgeAgent')).toEqual({});
    expect(statuses('e', 'm')).toEqual({ all: { status: 'Applied' }, tagged: { status: 'Targeted' } });
    expect(await results('all')).toEqual({ targetedCount: 2, appliedCount: 2 });
    await ask('PUT', '/devices/e/modules/new', { moduleId: 'new' });
    expect(desired('e', 'new')).toEqual({ level: 3 });
  });
});

const agentOf = (...modules: readonly string[]) => ({
  schemaVersion: '1.1',
  modules: Object.fromEntries(modules.map((moduleId) => [moduleId, { type: 'docker' }])),
});
const base = (level: number, modules: readonly string[]) => ({
  modulesContent: {
    $edgeAgent: { 'properties.desired': agentOf(...modules) },
    $edgeHub: { 'properties.desired': { routes: {} } },
    m: { 'properties.desired': { level } },
  },
});
const layer = (level: number, moduleId: string) => ({
  modulesContent: {
    $edgeAgent: { [`properties.desired.modules.${moduleId}`]: { type: 'layer' } },
    $edgeHub: { [`properties.desired.routes.${moduleId}`]: 'FROM /* INTO $upstream' },
    m: { 'properties.desired.layered': level },
  },
});
const moduleIds = (deviceId: string) =>
  [...stand.hub.dump()].flatMap((record) =>
    record.deviceId === deviceId && record.moduleId !== undefined ? [record.moduleId] : [],
  );

describe('edge deployments', () => {
  beforeEach(() => {
    stand.hub.load([
      { deviceId: 'e', iotEdge: true, tags: { site: 'x' } },
      { deviceId: 'leaf', tags: { site: 'x' } },
    ]);
  });
  const deploy = (id: string, content: object, priority = 0) =>
    put(id, { content, targetCondition: "tags.site='x'", priority });

  it('write the manifest and make the modules', async () => {
    await deploy('d', base(1, ['m', 'n']));
    expect(moduleIds('e')).toEqual(['$edgeAgent', '$edgeHub', 'm', 'n']);
    expect(desired('e', '$edgeAgent')).toEqual(agentOf('m', 'n'));
    expect(desired('e', '$edgeHub')).toEqual({ routes: {} });
    expect(desired('e', 'm')).toEqual({ level: 1 });
    expect((await ask('GET', '/devices/e/modules/m')).json).toMatchObject({
      managedBy: 'iotEdge',
      authentication: { type: 'none' },
    });
    expect(statuses('e', '$edgeAgent')).toEqual({ d: { status: 'Applied' } });
    expect(statuses('e')).toBeUndefined();
    expect(desired('leaf')).toEqual({});
    expect(moduleIds('leaf')).toEqual([]);
    expect(await results('d')).toEqual({
      targetedCount: 1,
      appliedCount: 1,
      reportedSuccessfulCount: 0,
      reportedFailedCount: 0,
    });
  });

  it('replace each other by priority; modules of the old one go, modules of clients stay', async () => {
    await ask('PUT', '/devices/e/modules/mine', { moduleId: 'mine', managedBy: 'iotEdge' });
    await deploy('low', base(1, ['m', 'old']), 1);
    await deploy('high', base(2, ['m']), 2);
    expect(moduleIds('e').toSorted()).toEqual(['$edgeAgent', '$edgeHub', 'm', 'mine']);
    expect(desired('e', 'm')).toEqual({ level: 2 });
    expect(statuses('e', '$edgeAgent')).toEqual({
      high: { status: 'Applied' },
      low: { status: 'Targeted' },
    });
    await ask('DELETE', '/configurations/high');
    expect(moduleIds('e').toSorted()).toEqual(['$edgeAgent', '$edgeHub', 'm', 'mine', 'old']);
    expect(desired('e', 'm')).toEqual({ level: 1 });
    // The last one leaves its manifest in place (seen live).
    await ask('DELETE', '/configurations/low');
    expect(desired('e', 'm')).toEqual({ level: 1 });
    expect(moduleIds('e')).toContain('old');
    expect(statuses('e', '$edgeAgent')).toBeUndefined();
  });

  it('of equal priority: the newer one wins', async () => {
    await deploy('first', base(1, ['m']), 3);
    await deploy('second', base(2, ['m']), 3);
    expect(desired('e', 'm')).toEqual({ level: 2 });
  });

  it('lie on top of a base in layers of rising priority', async () => {
    await deploy('base', base(1, ['m']), 5);
    await deploy('upper', layer(30, 'top'), 9);
    await deploy('lower', layer(20, 'middle'), 7);
    await deploy('below', layer(10, 'bottom'), 5);
    expect(desired('e', '$edgeAgent')).toEqual({
      schemaVersion: '1.1',
      modules: { m: { type: 'docker' }, middle: { type: 'layer' }, top: { type: 'layer' } },
    });
    expect(Object.keys(desired('e', '$edgeHub')?.routes as object)).toEqual(['middle', 'top']);
    expect(desired('e', 'm')).toEqual({ level: 1, layered: 30 });
    expect(moduleIds('e').toSorted()).toEqual(['$edgeAgent', '$edgeHub', 'm', 'middle', 'top']);
    // A layer must have a higher priority than its base.
    expect(statuses('e', '$edgeAgent')).toMatchObject({
      base: { status: 'Applied' },
      upper: { status: 'Applied' },
      lower: { status: 'Applied' },
      below: { status: 'Targeted' },
    });
    await ask('DELETE', '/configurations/upper');
    expect(moduleIds('e').toSorted()).toEqual(['$edgeAgent', '$edgeHub', 'm', 'middle']);
    expect(desired('e', 'm')).toEqual({ level: 1, layered: 20 });
  });

  it('do not apply as layers without a base', async () => {
    await deploy('layer', layer(1, 'top'), 9);
    expect(desired('e', '$edgeAgent')).toEqual({});
    expect(statuses('e', '$edgeAgent')).toEqual({ layer: { status: 'Targeted' } });
  });

  it('reach a device that becomes an edge device or is tagged later', async () => {
    await deploy('d', base(1, ['m']));
    await ask('PUT', '/devices/leaf', { capabilities: { iotEdge: true } }, '"*"');
    expect(desired('leaf', 'm')).toEqual({ level: 1 });
    await ask('PUT', '/devices/new', { capabilities: { iotEdge: true } });
    expect(moduleIds('new')).toEqual(['$edgeAgent', '$edgeHub']);
    await tag('new', 'x');
    expect(moduleIds('new')).toEqual(['$edgeAgent', '$edgeHub', 'm']);
    expect(desired('new', '$edgeHub')).toEqual({ routes: {} });
  });

  it('count what the runtime reported about the newest manifest', async () => {
    await deploy('d', base(1, ['m']));
    const agent = stand.hub.record('e', '$edgeAgent');
    const reported = (lastDesiredVersion: number, status: number) => ({
      lastDesiredVersion,
      lastDesiredStatus: { code: status },
    });
    if (agent === undefined) throw new Error('no $edgeAgent');
    for (const [version, status, successful, failed] of [
      [agent.desiredVersion, 200, 1, 0],
      [agent.desiredVersion, 412, 0, 1],
      [agent.desiredVersion - 1, 200, 0, 0],
    ] as const) {
      stand.hub.load([{ ...agent, reported: reported(version, status) }]);
      expect(await results('d')).toMatchObject({
        reportedSuccessfulCount: successful,
        reportedFailedCount: failed,
      });
    }
  });

  it('that do not fit change nothing', async () => {
    await deploy('d', {
      modulesContent: {
        ...base(1, ['m']).modulesContent,
        n: { 'properties.desired': { t: 'x'.repeat(5000) } },
      },
    });
    expect(moduleIds('e')).toEqual(['$edgeAgent', '$edgeHub']);
    expect(desired('e', '$edgeAgent')).toEqual({});
    expect(statuses('e', '$edgeAgent')).toEqual({ d: { status: 'Targeted' } });
  });
});

describe('imports into a hub with configurations', () => {
  const line = (id: string, more: object = {}) => ({ id, status: 'enabled', ...more });

  it('are changed by them at once: the desired values of the file are lost', async () => {
    await put('c', forSite('x', { level: 3 }));
    const properties = { desired: { level: 1, mine: 1 } };
    expect(
      await importedLog([line('d', { tags: { site: 'x' }, properties }), line('o', { properties })]),
    ).toBe('');
    expect(desired('d')).toEqual({ level: 3, mine: 1 });
    expect(desired('o')).toEqual({ level: 1, mine: 1 });
  });

  it('keep their values when the configuration comes later', async () => {
    const properties = { desired: { mine: 1 } };
    await importedLog([line('d', { tags: { site: 'x' }, properties })]);
    await put('c', forSite('x', { level: 3 }));
    expect(desired('d')).toEqual({ level: 3, mine: 1 });
  });

  it('meet modules that a deployment has made before their own lines came', async () => {
    await put('d', { content: base(1, ['m']), targetCondition: "tags.site='x'" });
    const log = await importedLog([
      line('e', { capabilities: { iotEdge: true }, tags: { site: 'x' } }),
      line('e', { moduleId: 'm', importMode: 'create', properties: { desired: { level: 9 } } }),
    ]);
    expect(JSON.parse(log ?? '')).toMatchObject({ deviceId: 'e', moduleId: 'm', errorCode: 409301 });
    expect(desired('e', 'm')).toEqual({ level: 1 });
  });

  it('stay hidden for the visibility lag, with what configurations did to them', async () => {
    const { hub, sim } = stand;
    sim.clock.setSpeed(0);
    hub.set({ visibilityLag: 5_000 });
    await put('c', forSite('x', { level: 3 }));
    await importedLog([line('d', { tags: { site: 'x' } })]);
    expect(code(await ask('GET', '/twins/d'))).toBe('404 DeviceNotFound');
    sim.clock.advance(5_000);
    expect((await ask('GET', '/twins/d')).json).toMatchObject({
      properties: { desired: { level: 3 } },
      configurations: { c: { status: 'Applied' } },
    });
  });

  it('look only at the records that they write', async () => {
    await put('c', forSite('x', { level: 3 }));
    stand.hub.load([{ deviceId: 'loaded', tags: { site: 'x' } }]);
    await importedLog([line('d', { tags: { site: 'x' } })]);
    expect(desired('d')).toEqual({ level: 3 });
    expect(desired('loaded')).toEqual({});
  });
});

describe('applyConfigurationContent', () => {
  const apply = (deviceId: string, body: object) =>
    ask('POST', `/devices/${deviceId}/applyConfigurationContent`, body);
  beforeEach(() => {
    stand.hub.load([{ deviceId: 'e', iotEdge: true, tags: { site: 'x' } }, { deviceId: 'leaf' }]);
  });

  it('writes the twins and makes the modules', async () => {
    const answer = await apply('e', base(1, ['m', 'n']));
    expect(code(answer)).toBe('204');
    expect(answer.text).toBe('');
    expect(desired('e', '$edgeAgent')).toEqual(agentOf('m', 'n'));
    expect(desired('e', 'm')).toEqual({ level: 1 });
    expect(stand.hub.record('e', 'n')).toMatchObject({
      managedBy: 'iotEdge',
      authentication: { type: 'none' },
    });
    expect(stand.hub.record('e', '$edgeAgent')).toMatchObject({ desiredVersion: 2, twinVersion: 2 });
  });

  it('removes what an earlier manifest made and this one does not name', async () => {
    await apply('e', base(1, ['m', 'n']));
    await ask('PUT', '/devices/e/modules/mine', { moduleId: 'mine' });
    await apply('e', base(2, ['m']));
    expect(moduleIds('e').toSorted()).toEqual(['$edgeAgent', '$edgeHub', 'm', 'mine']);
    expect(desired('e', 'm')).toEqual({ level: 2 });
  });

  it('takes paths, null to remove among them', async () => {
    await apply('e', base(1, ['m']));
    const answer = await apply('e', {
      modulesContent: {
        $edgeAgent: { 'properties.desired.modules.m': { type: 'new' } },
        m: { 'properties.desired.deep.a': 1, 'properties.desired.level': null },
      },
    });
    expect(code(answer)).toBe('204');
    expect(desired('e', '$edgeAgent')).toEqual({ schemaVersion: '1.1', modules: { m: { type: 'new' } } });
    expect(desired('e', 'm')).toEqual({ deep: { a: 1 } });
  });

  it('stays over a deployment until that is written again', async () => {
    const deployment = { content: base(1, ['m']), targetCondition: "tags.site='x'" };
    await put('d', deployment);
    await apply('e', base(2, ['m']));
    expect(desired('e', 'm')).toEqual({ level: 2 });
    await ask('PATCH', '/twins/e', { tags: { other: 1 } });
    expect(desired('e', 'm')).toEqual({ level: 2 });
    await put('d', deployment, '"*"');
    expect(desired('e', 'm')).toEqual({ level: 1 });
  });

  it('says what is wrong', async () => {
    const good = base(1, ['m']);
    expect(code(await apply('missing', good))).toBe('404 DeviceNotFound');
    const leaf = await apply('leaf', good);
    expect(code(leaf)).toBe('400 ArgumentInvalid');
    expect(leaf.text).toContain('Not an Azure IoT Edge device');
    const noAgent = { modulesContent: { m: { 'properties.desired': {} } } };
    expect(code(await apply('e', noAgent))).toBe('400 InvalidConfigurationContent');
    expect(code(await apply('e', {}))).toBe('400 InvalidConfigurationContent');
    const ofDevices = { deviceContent: { 'properties.desired.a': 1 } };
    expect(code(await apply('e', ofDevices))).toBe('400 InvalidConfigurationContent');
    expect(code(await ask('POST', '/devices/e/applyConfigurationContent'))).toBe('400 IotHubFormatError');
    expect(moduleIds('e')).toEqual(['$edgeAgent', '$edgeHub']);
  });

  it('changes nothing when a twin or the device has no room', async () => {
    const big = {
      modulesContent: { ...base(1, ['m']).modulesContent, z: { 'properties.desired.a': 'x'.repeat(5000) } },
    };
    expect(code(await apply('e', big))).toBe('400 ArgumentInvalid');
    stand.hub.load(Array.from({ length: 49 }, (_, n) => ({ deviceId: 'e', moduleId: `mine${n}` })));
    expect(code(await apply('e', base(1, ['m', 'n'])))).toBe('413 TooManyModulesOnDevice');
    expect(desired('e', '$edgeAgent')).toEqual({});
    expect(code(await apply('e', base(1, ['m'])))).toBe('204');
    stand.hub.set({ maxRecords: [...stand.hub.dump()].length });
    expect(code(await apply('e', base(1, ['mine0', 'm'])))).toBe('204');
    stand.hub.load([{ deviceId: 'e2', iotEdge: true }]);
    expect(code(await apply('e2', base(1, ['m'])))).toBe('403 IotHubQuotaExceeded');
  });

  it('lets a device have 50 modules besides its system modules', async () => {
    const fifty = Array.from({ length: 50 }, (_, n) => `m${n}`);
    const { modulesContent } = base(1, fifty);
    const { m: _m, ...content } = modulesContent;
    expect(code(await apply('e', { modulesContent: content }))).toBe('204');
    expect(moduleIds('e')).toHaveLength(52);
  });
});
