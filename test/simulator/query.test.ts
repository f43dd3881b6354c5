import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from './client.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
  stand.hub.load([
    { deviceId: 'edge-1', iotEdge: true, tags: { site: 'Zürich', floor: 3 } },
    { deviceId: 'leaf-1', parent: 'edge-1', tags: { site: 'Bern', floor: 1.5 } },
    { deviceId: 'edge-2', iotEdge: true, parent: 'edge-1' },
    { deviceId: "it's", status: 'disabled', desired: { level: { max: -2 } } },
    { deviceId: 'leaf-2', status: 'disabled' },
    { deviceId: 'leaf-2', moduleId: 'm' },
  ]);
});
afterAll(() => stand.close());

const query = (text: string, headers: Record<string, string> = {}) =>
  stand.client.ask('POST', '/devices/query', { body: { query: text }, headers });
const rows = (answer: Answer) => JSON.parse(answer.text) as Record<string, unknown>[];
const ids = async (where: string) =>
  rows(await query(`SELECT * FROM devices WHERE ${where}`)).map((row) => row.deviceId);

describe('queries', () => {
  it('find devices by what the migration asks', async () => {
    expect(await ids('capabilities.iotEdge = true')).toEqual(['edge-1', 'edge-2']);
    expect(await ids("deviceId = 'leaf-1'")).toEqual(['leaf-1']);
    expect(await ids(String.raw`deviceId IN ['leaf-2', 'it\'s', 'none']`)).toEqual(['leaf-2', "it's"]);
    expect(await ids("status = 'disabled'")).toEqual(["it's", 'leaf-2']);
    expect(await ids("capabilities.iotEdge = true AND (deviceId = 'edge-2' or status = 'disabled')")).toEqual(
      ['edge-2'],
    );
  });

  it('look into tags and properties', async () => {
    expect(await ids("tags.site = 'Zürich'")).toEqual(['edge-1']);
    expect(await ids('tags.floor >= 1.5')).toEqual(['edge-1', 'leaf-1']);
    expect(await ids('properties.desired.level.max < 0')).toEqual(["it's"]);
    expect(await ids("tags.site <> 'Bern'")).toEqual(['edge-1']);
    expect(await ids("NOT is_defined(tags.site) and status != 'enabled'")).toEqual(["it's", 'leaf-2']);
    expect(await ids("startswith(deviceId, 'leaf')")).toEqual(['leaf-1', 'leaf-2']);
    const scope = String(stand.hub.record('edge-1')?.deviceScope);
    expect(await ids(`array_contains(parentScopes, '${scope}')`)).toEqual(['leaf-1', 'edge-2']);
  });

  it('answer twins for *, raw rows for a select list and for counts', async () => {
    const all = await query('SELECT * FROM devices');
    expect(all.headers['x-ms-item-type']).toBe('Twin');
    expect(rows(all)).toHaveLength(5);
    expect(all.text).not.toContain('primaryKey');
    const listed = await query(
      "select deviceId, tags.site as place, deviceScope from devices where deviceId = 'leaf-1'",
    );
    expect(listed.headers['x-ms-item-type']).toBe('Raw');
    const scope = stand.hub.record('edge-1')?.deviceScope;
    expect(rows(listed)).toEqual([{ deviceId: 'leaf-1', place: 'Bern', deviceScope: scope }]);
    const counted = await query("SELECT COUNT() AS n FROM devices WHERE status = 'enabled'");
    expect(rows(counted)).toEqual([{ n: 3 }]);
    const modules = await query('SELECT deviceId, moduleId FROM devices.modules');
    expect(rows(modules).map((row) => row.moduleId)).toEqual([
      '$edgeAgent',
      '$edgeHub',
      '$edgeAgent',
      '$edgeHub',
      'm',
    ]);
  });

  it('come in pages, with no continuation header on the last', async () => {
    const text = 'SELECT deviceId FROM devices';
    const size = { 'x-ms-max-item-count': '2' };
    const first = await query(text, { ...size, 'x-ms-continuation': '' });
    const token = String(first.headers['x-ms-continuation']);
    const second = await query(text, { ...size, 'x-ms-continuation': token });
    const again = await query(text, { ...size, 'x-ms-continuation': token });
    expect(rows(again)).toEqual(rows(second));
    const third = await query(text, {
      ...size,
      'x-ms-continuation': String(second.headers['x-ms-continuation']),
    });
    expect(third.headers).not.toHaveProperty('x-ms-continuation');
    expect([first, second, third].flatMap(rows).map((row) => row.deviceId)).toEqual([
      'edge-1',
      'leaf-1',
      'edge-2',
      "it's",
      'leaf-2',
    ]);
    const exact = await query(text, { 'x-ms-max-item-count': '5' });
    expect(exact.headers).not.toHaveProperty('x-ms-continuation');
    expect((await query('SELECT * FROM devices', { 'x-ms-continuation': token })).status).toBe(400);
    expect((await query(text, { 'x-ms-continuation': 'rubbish' })).status).toBe(400);
  });

  it('take the other sizes that clients ask for as the service likes', async () => {
    for (const size of ['0', '-1', 'many', '1.5', '']) {
      const answer = await query('SELECT deviceId FROM devices', { 'x-ms-max-item-count': size });
      expect.soft(rows(answer), size).toHaveLength(5);
    }
  });

  it('page to their end with tokens of a size that headers take, and refuse made up ones', async () => {
    const text = `SELECT * FROM devices WHERE deviceId != '${'x'.repeat(8000)}'`;
    const first = await query(text, { 'x-ms-max-item-count': '1' });
    const token = String(first.headers['x-ms-continuation']);
    expect(token.length).toBeLessThan(300);
    const [id, , digest] = JSON.parse(Buffer.from(token, 'base64url').toString()) as [string, number, string];
    const forged = (skip: unknown) => Buffer.from(JSON.stringify([id, skip, digest])).toString('base64url');
    await query(text, { 'x-ms-continuation': token });
    const far = await query(text, { 'x-ms-continuation': forged(Number.MAX_SAFE_INTEGER) });
    expect([far.status, rows(far)]).toEqual([200, []]);
    for (const skip of ['2', -1.5, null]) {
      expect.soft((await query(text, { 'x-ms-continuation': forged(skip) })).status, String(skip)).toBe(400);
    }
  });

  it('know no scheduled jobs', async () => {
    const jobs = await query("SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'edge-1'");
    expect([jobs.status, rows(jobs), jobs.headers['x-ms-item-type']]).toEqual([200, [], 'DeviceJob']);
    expect(jobs.headers).not.toHaveProperty('x-ms-continuation');
  });

  it('spell the names of the service as they like, but not those of users', async () => {
    const answer = await query(
      "select DeviceID, CAPABILITIES.iotedge, Tags.site from devices where Status = 'enabled' and TAGS.floor = 3",
    );
    expect(rows(answer)).toEqual([{ deviceId: 'edge-1', iotEdge: true, site: 'Zürich' }]);
    expect(await ids("tags.Site = 'Zürich'")).toEqual([]);
    expect(await ids("devices.tags.site = 'Zürich'")).toEqual(['edge-1']);
  });

  it('project what is there and leave out the rest', async () => {
    const picked = await query(
      'SELECT deviceId AS id, properties.desired.level, properties.desired.$version AS v, tags FROM devices',
    );
    expect(rows(picked)).toEqual([
      { id: 'edge-1', v: 1, tags: { site: 'Zürich', floor: 3 } },
      { id: 'leaf-1', v: 1, tags: { site: 'Bern', floor: 1.5 } },
      { id: 'edge-2', v: 1, tags: {} },
      { id: "it's", v: 1, tags: {}, level: { max: -2 } },
      { id: 'leaf-2', v: 1, tags: {} },
    ]);
    expect(rows(await query('SELECT TOP 2 deviceId FROM devices'))).toHaveLength(2);
    expect(rows(await query('SELECT TOP 0 deviceId FROM devices'))).toEqual([]);
  });

  it('count, sum up and group', async () => {
    const ask = async (text: string) => rows(await query(text));
    expect(await ask('SELECT status, COUNT() AS n FROM devices GROUP BY status')).toEqual([
      { status: 'enabled', n: 3 },
      { status: 'disabled', n: 2 },
    ]);
    expect(await ask('SELECT tags.site AS s, COUNT() AS n FROM devices GROUP BY tags.site')).toEqual([
      { s: 'Zürich', n: 1 },
      { s: 'Bern', n: 1 },
      { n: 3 },
    ]);
    expect(
      await ask(
        'SELECT sum(tags.floor) AS s, avg(tags.floor) AS a, min(tags.floor) AS l, max(tags.site) AS h FROM devices',
      ),
    ).toEqual([{ s: 4.5, a: 2.25, l: 1.5, h: 'Zürich' }]);
    expect(await ask("SELECT COUNT() AS n FROM devices WHERE deviceId = 'none'")).toEqual([{ n: 0 }]);
    expect(await ask("SELECT status, COUNT() AS n FROM devices WHERE status = 'x' GROUP BY status")).toEqual(
      [],
    );
    const grouped = await query('SELECT status, COUNT() AS n FROM devices GROUP BY status', {
      'x-ms-max-item-count': '1',
    });
    expect([rows(grouped).length, grouped.headers['x-ms-item-type']]).toEqual([1, 'Raw']);
    expect(grouped.headers['x-ms-continuation']).toBeDefined();
  });

  it('show no tags and properties in a basic tier', async () => {
    stand.hub.set({ tier: 'B1' });
    const twins = rows(await query("SELECT * FROM devices WHERE deviceId = 'edge-1'"));
    expect(twins).toMatchObject([{ deviceId: 'edge-1', status: 'enabled' }]);
    expect(twins[0]).not.toHaveProperty('properties');
    expect(twins[0]).not.toHaveProperty('tags');
    expect(await ids("tags.site = 'Zürich'")).toEqual([]);
    stand.hub.set({ tier: 'S1' });
  });

  it('with errors are refused', async () => {
    const bad = [
      '',
      'SELECT',
      'SELECT * FROM twins',
      'SELECT * FROM devices WHERE',
      "SELECT * FROM devices WHERE deviceId = 'x",
      'SELECT * FROM devices WHERE deviceId = ',
      'SELECT * FROM devices WHERE (status = 1',
      'SELECT * FROM devices WHERE status = 1)',
      'SELECT * FROM devices WHERE status ~ 1',
      'SELECT * FROM devices WHERE constructor(status)',
      'SELECT * FROM devices WHERE is_defined()',
      'SELECT * FROM devices WHERE startswith(deviceId)',
      'SELECT * FROM devices WHERE is_defined(tags.a, tags.b)',
      'SELECT * FROM devices; DROP',
      'SELECT * FROM devices LIMIT 5',
      'SELECT * FROM devices ORDER BY deviceId',
      'SELECT * FROM devices GROUP BY status',
      'SELECT deviceId, COUNT() AS n FROM devices',
      'SELECT deviceId FROM devices GROUP BY status',
      'SELECT COUNT() AS n FROM devices.modules GROUP BY moduleId',
      'SELECT deviceId FROM devices.jobs',
      "SELECT * FROM devices WHERE tags.group = 'US'",
      "SELECT * FROM devices WHERE tags['a b'] = 1",
      String.raw`SELECT * FROM devices WHERE deviceId = '\q'`,
      "SELECT * FROM devices WHERE deviceId = 'it''s'",
      "SELECT * FROM devices WHERE deviceId IN ('a', 'b')",
      'SELECT * FROM devices WHERE deviceId IN [tags.a]',
      "SELECT * FROM devices WHERE deviceId = -'a'",
      'SELECT TOP x deviceId FROM devices',
      'SELECT * FROM devices WHERE [[]] = 1',
    ];
    for (const text of bad) {
      const answer = await query(text);
      expect
        .soft(`${answer.status} ${String(answer.headers['iothub-errorcode'])}`, text)
        .toBe('400 ArgumentInvalid');
      expect.soft(answer.json.Message, text).toMatch(/^ErrorCode:ArgumentInvalid;BadRequest/);
    }
    for (const body of ['{}', '{"query":5}', '{"query":null}']) {
      expect((await stand.client.ask('POST', '/devices/query', { body })).status, body).toBe(400);
    }
  });

  it('are 8 KB at most', async () => {
    const text = (bytes: number) => {
      const rest = "SELECT * FROM devices WHERE deviceId = ''".length;
      return `SELECT * FROM devices WHERE deviceId = '${'x'.repeat(bytes - rest)}'`;
    };
    expect((await query(text(8192))).status).toBe(200);
    const long = await query(text(8193));
    expect([long.status, long.headers['iothub-errorcode']]).toEqual([412, 'PreconditionFailed']);
  });

  it('cannot be nested until something breaks', async () => {
    const deep = [
      `${'('.repeat(4000)}status = 1${')'.repeat(4000)}`,
      '('.repeat(8000),
      `${'not '.repeat(2000)}true`,
      'is_defined('.repeat(700),
      `status = ${'-'.repeat(4000)}1`,
    ];
    for (const where of deep) {
      const answer = await query(`SELECT * FROM devices WHERE ${where}`);
      expect
        .soft(`${answer.status} ${String(answer.headers['iothub-errorcode'])}`, where.slice(0, 20))
        .toBe('400 ArgumentInvalid');
    }
    const long = [
      `${'status = 1 or '.repeat(500)}true`,
      `${'1+'.repeat(3000)}1 = 3001`,
      `${'('.repeat(50)}true${')'.repeat(50)}`,
      `${'not '.repeat(50)}true`,
      `tags${'.a'.repeat(3000)} = 1 or true`,
    ];
    for (const where of long) {
      const answer = await query(`SELECT * FROM devices WHERE ${where}`);
      expect.soft([answer.status, rows(answer).length], where.slice(0, 20)).toEqual([200, 5]);
    }
    expect(stand.sim.internalErrors()).toEqual([]);
  });

  it('lag behind writes when told to, and list ghosts of deleted devices', async () => {
    stand.hub.set({ queryLag: 3_600_000 });
    await stand.client.ask('PUT', '/devices/late', { body: {} });
    await stand.client.ask('DELETE', '/devices/leaf-1', { headers: { 'if-match': '*' } });
    expect((await stand.client.ask('GET', '/devices/late')).status).toBe(200);
    expect(await ids("deviceId = 'late'")).toEqual([]);
    expect(await ids("deviceId = 'leaf-1'")).toEqual(['leaf-1']);
    expect(rows(await query('SELECT COUNT() AS n FROM devices'))).toEqual([{ n: 5 }]);
    stand.hub.set({ queryLag: 0 });
    expect(await ids("deviceId = 'late'")).toEqual(['late']);
    expect(await ids("deviceId = 'leaf-1'")).toEqual([]);
  });
});
