import { readFileSync } from 'node:fs';
import { Agent, type AgentOptions } from 'node:https';
import { Registry } from 'azure-iothub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { type Stand, startStand } from './stand.js';

/**
 * Microsoft's client writes `host:port` of the connection string into `host` and knows no port: an agent that puts
 * its own host and port over the request's makes it reach the simulator.
 */
class LoopbackAgent extends Agent {
  override createConnection(...[options, callback]: Parameters<Agent['createConnection']>) {
    const { port, ca } = this.options as AgentOptions & { port: number };
    return super.createConnection(
      { ...options, host: '127.0.0.1', port, ca, servername: 'localhost' },
      callback,
    );
  }
}

let azurite: Azurite;
let stand: Stand;
let registry: Registry;

beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand({ ownPort: 0 })]);
  registry = Registry.fromConnectionString(stand.hub.connectionString('iothubowner', true));
  const port = Number(stand.hub.ownHostName?.split(':')[1]);
  const agent = new LoopbackAgent({ ca: readFileSync(stand.sim.caFile), port });
  const { _restApiClient: client } = registry as unknown as {
    _restApiClient: { setOptions(options: { http: { agent: Agent } }): void };
  };
  client.setOptions({ http: { agent } });
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => stand.hub.clear());

const body = (answer: { responseBody: unknown }) => answer.responseBody as Record<string, unknown>;
/** Job calls hand out the body itself, which the client's types leave empty. */
const asJob = (job: unknown) => job as { jobId: string; status: string };
const nameOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: unknown) => (error as Error).name,
  );

describe('azure-iothub', () => {
  it('creates, reads, updates, lists and deletes devices', async () => {
    const deviceId = `odd-%25#?*$'@;,=`;
    const made = body(await registry.create({ deviceId, status: 'disabled' }));
    expect(made).toMatchObject({ deviceId, status: 'disabled' });
    expect(body(await registry.get(deviceId))).toMatchObject({ etag: made.etag });
    const updated = body(await registry.update({ deviceId, statusReason: 'why' }));
    expect(updated).toMatchObject({
      status: 'enabled',
      statusReason: 'why',
      generationId: made.generationId,
    });
    expect((await registry.list()).responseBody).toHaveLength(1);
    await registry.delete(deviceId);
    expect(stand.hub.store.deviceCount).toBe(0);
  });

  it('maps errors as it does with the service', async () => {
    await registry.create({ deviceId: 'd' });
    expect(await nameOf(registry.create({ deviceId: 'd' }))).toBe('DeviceAlreadyExistsError');
    expect(await nameOf(registry.get('missing'))).toBe('DeviceNotFoundError');
    expect(await nameOf(registry.update({ deviceId: 'missing' }))).toBe('DeviceNotFoundError');
    expect(await nameOf(registry.create({ deviceId: 'a b' }))).toBe('ArgumentError');
    expect(await nameOf(registry.getModulesOnDevice('missing'))).toBe('UnauthorizedError');
    expect(await nameOf(registry.updateTwin('d', { tags: {} }, 'c3RhbGU='))).toBe('InvalidEtagError');
    stand.hub.addFault({ kind: 'status', status: 429 });
    expect(await nameOf(registry.get('d'))).toBe('ThrottlingError');
  });

  it('reads and writes twins', async () => {
    await registry.create({ deviceId: 'd' });
    const twin = body(await registry.getTwin('d'));
    const patch = { tags: { city: 'Zürich' }, properties: { desired: { level: -1.5 } } };
    const changed = body(await registry.updateTwin('d', patch, String(twin.etag)));
    expect(changed).toMatchObject({ tags: { city: 'Zürich' }, version: 2 });
    expect(await nameOf(registry.updateTwin('d', patch, String(twin.etag)))).toBe('InvalidEtagError');
    await registry.updateTwin('d', { tags: { city: null } }, '*');
    expect(stand.hub.record('d')?.tags).toEqual({});
  });

  it('works with modules and their twins', async () => {
    await registry.create({ deviceId: 'd' });
    await registry.addModule({ deviceId: 'd', moduleId: 'm', managedBy: 'me' });
    expect(body(await registry.getModule('d', 'm'))).toMatchObject({ managedBy: 'me' });
    await registry.updateModule({ deviceId: 'd', moduleId: 'm' }, true);
    expect((await registry.getModulesOnDevice('d')).responseBody).toHaveLength(1);
    await registry.updateModuleTwin('d', 'm', { tags: { a: 1 } }, '*');
    expect(body(await registry.getModuleTwin('d', 'm')).tags).toEqual({ a: 1 });
    await registry.removeModule('d', 'm');
    expect((await registry.getModulesOnDevice('d')).responseBody).toEqual([]);
  });

  it('pages through queries to the end', async () => {
    stand.hub.load(Array.from({ length: 25 }, (_, n) => ({ deviceId: `d${n}` })));
    const query = registry.createQuery('SELECT * FROM devices', 10);
    const sizes = [];
    while (query.hasMoreResults) sizes.push((await query.nextAsTwin()).result.length);
    expect(sizes).toEqual([10, 10, 5]);
  });

  it('reads statistics and configurations', async () => {
    stand.hub.load([{ deviceId: 'a' }]);
    expect(body(await registry.getRegistryStatistics())).toMatchObject({ totalDeviceCount: 1 });
    stand.hub.loadConfigurations([{ id: 'c1' }]);
    expect((await registry.getConfigurations()).responseBody).toHaveLength(1);
    expect(body(await registry.getConfiguration('c1'))).toMatchObject({ id: 'c1' });
  });

  it('runs export and import jobs', async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    const container = await azurite.container('jobs');
    const uri = azurite.uri(container);
    const ended = async (created: unknown) => {
      const { jobId } = asJob(created);
      for (;;) {
        const state = asJob(await registry.getJob(jobId));
        if (state.status === 'completed' || state.status === 'failed') return state;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    expect(await ended(await registry.exportDevicesToBlob(uri, false))).toMatchObject({
      status: 'completed',
    });
    const text = await readBlob(container, 'devices.txt');
    stand.hub.clear();
    await writeBlob(container, 'devices.txt', text);
    expect(await ended(await registry.importDevicesFromBlob(uri, uri))).toMatchObject({
      status: 'completed',
    });
    expect(await readBlob(container, 'importErrors.log')).toBe('');
    expect([...stand.hub.dump()].map((record) => record.deviceId)).toEqual(['a', 'b']);
    stand.hub.occupySlot();
    expect(await nameOf(registry.exportDevicesToBlob(uri, false))).toBe('TooManyDevicesError');
    expect((await registry.listJobs()).responseBody).toHaveLength(3);
    stand.hub.releaseSlot();
  });

  it('cancels a job', async () => {
    const uri = azurite.uri(await azurite.container('cancelled'));
    stand.hub.set({ startDelay: 3_600_000 });
    const { jobId } = asJob(await registry.exportDevicesToBlob(uri, false));
    await registry.cancelJob(jobId);
    expect(await registry.getJob(jobId)).toMatchObject({ status: 'cancelled' });
    stand.hub.set({ startDelay: 0 });
  });
});
