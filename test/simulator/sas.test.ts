import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyName } from '../../simulator/index.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ ownPort: 0 });
  stand.hub.load([{ deviceId: 'd' }]);
});
afterAll(() => stand.close());

const ask = (authorization: string) => stand.client.ask('GET', '/devices/d', { authorization });
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

describe('shared access signatures', () => {
  it('are accepted with and without port, encoded or not, whole or by path prefix', async () => {
    const { client, hub } = stand;
    const resources = [
      hub.hostName,
      'a.localhost',
      'A.LOCALHOST',
      encodeURIComponent(hub.hostName),
      'a.localhost/devices',
      encodeURIComponent('a.localhost/devices/d'),
    ];
    for (const resource of resources) {
      expect.soft((await ask(client.token('iothubowner', resource))).status, resource).toBe(200);
    }
  });

  it('are accepted with their fields in any order', async () => {
    const [, fields = ''] = stand.client.token().split(' ');
    const turned = fields.split('&').toReversed().join('&');
    expect((await ask(`SharedAccessSignature ${turned}`)).status).toBe(200);
  });

  it('are refused with 401 and the envelope when anything is wrong', async () => {
    const { client, sim } = stand;
    const good = client.token();
    const wrong: Record<string, string> = {
      none: '',
      'another scheme': 'Bearer x',
      expired: client.token('iothubowner', 'a.localhost', Math.floor(Date.now() / 1000) - 1),
      'key of another hub': client.token(
        'iothubowner',
        'a.localhost',
        inAnHour(),
        sim.hub('b').keys.iothubowner,
      ),
      'another host': client.token('iothubowner', 'b.localhost'),
      'another path': client.token('iothubowner', 'a.localhost/twins'),
      'half a path segment': client.token('iothubowner', 'a.localhost/dev'),
      'changed expiry': good.replace(/se=\d+/, `se=${inAnHour() + 1}`),
      'unknown policy': good.replace('skn=iothubowner', 'skn=owner'),
      'name of a prototype member': good.replace('skn=iothubowner', 'skn=constructor'),
      'field missing': good.replace(/&skn=.*/, ''),
    };
    for (const [what, authorization] of Object.entries(wrong)) {
      const answer = await ask(authorization);
      expect.soft(answer.status, what).toBe(401);
      expect.soft(answer.headers['iothub-errorcode'], what).toBe('IotHubUnauthorizedAccess');
      expect.soft(answer.json.Message, what).toBe('ErrorCode:IotHubUnauthorizedAccess;Unauthorized');
      expect
        .soft(answer.json.ExceptionMessage, what)
        .toMatch(/^Tracking ID:[0-9a-f]{32}-G:0-TimeStamp:\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d$/);
    }
  });

  it('give each policy its rights and no more', async () => {
    const allowed: Record<PolicyName, readonly string[]> = {
      iothubowner: ['read', 'write', 'twin', 'query', 'jobs', 'statistics', 'configurations'],
      service: ['twin', 'query'],
      device: [],
      registryRead: ['read', 'statistics'],
      registryReadWrite: ['read', 'write', 'jobs', 'statistics', 'configurations'],
    };
    const calls: Record<string, [string, string, unknown?]> = {
      read: ['GET', '/devices/d'],
      write: ['PUT', '/devices/new', { deviceId: 'new' }],
      twin: ['GET', '/twins/d'],
      query: ['POST', '/devices/query', { query: 'SELECT * FROM devices' }],
      jobs: ['GET', '/jobs'],
      statistics: ['GET', '/statistics/devices'],
      configurations: ['GET', '/configurations'],
    };
    for (const [policy, may] of Object.entries(allowed) as [PolicyName, readonly string[]][]) {
      for (const [name, [method, path, body]] of Object.entries(calls)) {
        const { status } = await stand.client.ask(method, path, { policy, body });
        expect.soft(status === 401, `${policy} ${name}: ${status}`).toBe(!may.includes(name));
      }
    }
  });

  it('can be asked to need iothubowner for jobs', async () => {
    stand.hub.set({ jobsPolicy: 'owner' });
    expect((await stand.client.ask('GET', '/jobs', { policy: 'registryReadWrite' })).status).toBe(401);
    expect((await stand.client.ask('GET', '/jobs')).status).toBe(200);
    stand.hub.set({ jobsPolicy: 'registryReadWrite' });
  });
});

describe('requests', () => {
  it('need a known api-version', async () => {
    for (const apiVersion of ['', '1999-01-01']) {
      const answer = await stand.client.ask('GET', '/devices/d', { apiVersion });
      expect(answer.status).toBe(400);
      expect(answer.headers['iothub-errorcode']).toBe('InvalidProtocolVersion');
    }
  });

  it('for what is not served get the envelope too', async () => {
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['PATCH', '/devices/d'],
      ['GET', '/devices/%E0%A4%A'],
    ] as const) {
      const answer = await stand.client.ask(method, path);
      expect(answer.status).toBe(400);
      expect(answer.json.Message).toMatch(/^ErrorCode:\w+;/);
    }
  });

  it('reach a hub by its own port under any host name', async () => {
    const { hub } = stand;
    expect(hub.ownHostName).toMatch(/^localhost:\d+$/);
    expect(hub.connectionString('service', true)).toBe(
      `HostName=${hub.ownHostName};SharedAccessKeyName=service;SharedAccessKey=${hub.keys.service}`,
    );
  });
});
