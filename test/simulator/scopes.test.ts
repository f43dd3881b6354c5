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
});
