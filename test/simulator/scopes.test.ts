import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asText } from './client.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());
beforeEach(() => stand.hub.clear());

const put = (id: string, body: object = {}, ifMatch?: string) =>
  stand.client.ask('PUT', `/devices/${id}`, {
    body: { deviceId: id, ...body },
    ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
  });
const edge = { capabilities: { iotEdge: true } };

describe('edge scopes', () => {
  it('are minted with the generation id, whatever the client sends', async () => {
    const { json } = await put('e', { ...edge, deviceScope: 'ms-azure-iot-edge://mine-1' });
    expect(json.deviceScope).toBe(`ms-azure-iot-edge://e-${asText(json.generationId)}`);
    expect(json).not.toHaveProperty('parentScopes');
  });

  it('come with system modules that have no authentication', async () => {
    await put('e', edge);
    const { json } = await stand.client.ask('GET', '/devices/e/modules');
    expect(json).toMatchObject([
      { moduleId: '$edgeAgent', managedBy: 'iotEdge', authentication: { type: 'none' } },
      { moduleId: '$edgeHub', managedBy: 'iotEdge', authentication: { type: 'none' } },
    ]);
  });

  it('of the parent are taken by leaf devices and copied to parentScopes', async () => {
    const scope = asText((await put('e', edge)).json.deviceScope);
    expect((await put('leaf', { deviceScope: scope })).json).toMatchObject({
      deviceScope: scope,
      parentScopes: [scope],
    });
    expect((await put('alone', { parentScopes: [scope] })).json).not.toHaveProperty('parentScopes');
    expect((await put('leaf', {}, '*')).json).not.toHaveProperty('deviceScope');
  });

  it('that belong to no edge are taken on creation and refused on update', async () => {
    const stale = 'ms-azure-iot-edge://gone-1';
    expect((await put('leaf', { deviceScope: stale })).json.parentScopes).toEqual([stale]);
    const update = await put('leaf', { deviceScope: stale }, '*');
    expect(update.status).toBe(400);
    expect(update.headers['iothub-errorcode']).toBe('InvalidDeviceScope');
  });

  it('are immutable: an edge must restate its own, and its parent or lose it', async () => {
    const parent = asText((await put('p', edge)).json.deviceScope);
    const child = (await put('c', { ...edge, parentScopes: [parent] })).json;
    expect(child.parentScopes).toEqual([parent]);
    expect(child.deviceScope).not.toBe(parent);
    for (const deviceScope of [undefined, '', parent]) {
      const refused = await put('c', { ...edge, deviceScope, parentScopes: [parent] }, '*');
      expect(refused.status).toBe(400);
      expect(refused.json.Message).toContain('Device scope is immutable');
    }
    const kept = await put('c', { ...edge, deviceScope: child.deviceScope, parentScopes: [parent] }, '*');
    expect(kept.json.parentScopes).toEqual([parent]);
    const two = await put(
      'c',
      { ...edge, deviceScope: child.deviceScope, parentScopes: [parent, parent] },
      '*',
    );
    expect(two.status).toBe(400);
    const detached = await put('c', { ...edge, deviceScope: child.deviceScope }, '*');
    expect(detached.json).not.toHaveProperty('parentScopes');
    expect(detached.json.deviceScope).toBe(child.deviceScope);
  });

  it('have an empty suffix for a device made edge later, and go with the edge', async () => {
    await put('d');
    const made = await put('d', { ...edge, deviceScope: '' }, '*');
    expect(made.json.deviceScope).toBe('ms-azure-iot-edge://d-');
    expect(stand.hub.store.moduleCount).toBe(2);
    const leaf = await put('d', { deviceScope: 'ms-azure-iot-edge://d-' }, '*');
    expect(leaf.json).not.toHaveProperty('deviceScope');
    expect(stand.hub.store.moduleCount).toBe(0);
  });

  it('of an edge that was left out of a write detach it from its parent', async () => {
    const parent = asText((await put('p', edge)).json.deviceScope);
    const { deviceScope } = (await put('c', { ...edge, parentScopes: [parent] })).json;
    expect((await put('c', { ...edge, deviceScope, parentScopes: [] }, '*')).json).not.toHaveProperty(
      'parentScopes',
    );
    await put('c', { ...edge, deviceScope, parentScopes: [parent] }, '*');
    const leaf = await put('c', { deviceScope }, '*');
    expect(leaf.json).not.toHaveProperty('deviceScope');
    expect(leaf.json).not.toHaveProperty('parentScopes');
  });

  it('nest, and go stale with the edge that they belong to', async () => {
    const scopes: string[] = [];
    for (let level = 0; level < 4; level++) {
      const parentScopes = scopes.slice(-1);
      const { json } = await put(`e${level}`, { ...edge, parentScopes });
      expect(json.parentScopes ?? []).toEqual(parentScopes);
      scopes.push(asText(json.deviceScope));
    }
    await stand.client.ask('DELETE', '/devices/e2', { headers: { 'if-match': '*' } });
    const orphan = (await stand.client.ask('GET', '/devices/e3')).json;
    expect(orphan.parentScopes).toEqual([scopes[2]]);
    // The same name again is another edge.
    expect((await put('e2', edge)).json.deviceScope).not.toBe(scopes[2]);
    const restated = { ...edge, deviceScope: orphan.deviceScope, parentScopes: orphan.parentScopes };
    expect((await put('e3', restated, '*')).status).toBe(400);
  });

  it('are checked in the writes that the setting names', async () => {
    const stale = { deviceScope: 'ms-azure-iot-edge://gone-1' };
    await put('leaf', stale);
    const status = async (id: string, ifMatch?: string) => (await put(id, stale, ifMatch)).status;
    stand.hub.set({ restScopeCheck: 'never' });
    expect([await status('n'), await status('leaf', '*')]).toEqual([200, 200]);
    stand.hub.set({ restScopeCheck: 'always' });
    expect([await status('m'), await status('leaf', '*')]).toEqual([400, 400]);
    stand.hub.set({ restScopeCheck: 'update' });
    expect([await status('m'), await status('leaf', '*')]).toEqual([200, 400]);
  });

  it('of leaf devices are shown by their twins, too', async () => {
    const scope = asText((await put('e', edge)).json.deviceScope);
    await put('leaf', { deviceScope: scope });
    const twin = (path: string) => stand.client.ask('GET', path).then(({ json }) => json);
    expect(await twin('/twins/leaf')).toMatchObject({
      deviceScope: scope,
      parentScopes: [scope],
      capabilities: { iotEdge: false },
    });
    expect(await twin('/twins/e')).toMatchObject({ deviceScope: scope, capabilities: { iotEdge: true } });
    expect(await twin('/twins/e')).not.toHaveProperty('parentScopes');
  });
});
