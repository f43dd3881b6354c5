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

  it('with errors are refused', async () => {
    const bad = [
      '',
      'SELECT',
      'SELECT * FROM twins',
      'SELECT * FROM devices WHERE',
      "SELECT * FROM devices WHERE deviceId = 'x",
      'SELECT * FROM devices WHERE deviceId = ',
      'SELECT * FROM devices WHERE (status = 1',
      'SELECT * FROM devices WHERE status ~ 1',
      'SELECT * FROM devices WHERE constructor(status)',
      'SELECT * FROM devices; DROP',
      'SELECT * FROM devices LIMIT 5',
    ];
    for (const text of bad) {
      const answer = await query(text);
      expect
        .soft(`${answer.status} ${String(answer.headers['iothub-errorcode'])}`, text)
        .toBe('400 ArgumentInvalid');
    }
    const long = await query(`SELECT * FROM devices WHERE deviceId = '${'x'.repeat(8192)}'`);
    expect(long.status).toBe(412);
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
