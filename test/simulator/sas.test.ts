import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPolicyName, policyRights } from '../../simulator/access/sas.js';
import type { PolicyName } from '../../simulator/index.js';
import { router } from '../../simulator/routes/index.js';
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
      `${hub.hostName}/devices/`,
      encodeURIComponent('a.localhost/devices/d'),
      encodeURIComponent('a.localhost/devices').toLowerCase(),
    ];
    for (const resource of resources) {
      expect.soft((await ask(client.token('iothubowner', resource))).status, resource).toBe(200);
    }
  });

  it('are accepted with their fields in any order', async () => {
    const [, text = ''] = stand.client.token().split(' ');
    const fields = text.split('&');
    expect(fields).toHaveLength(4);
    for (const first of fields) {
      for (const second of fields.filter((field) => field !== first)) {
        const others = fields.filter((field) => field !== first && field !== second);
        for (const rest of [others, others.toReversed()]) {
          const order = [first, second, ...rest].join('&');
          expect((await ask(`SharedAccessSignature ${order}`)).status, order).toBe(200);
        }
      }
    }
  });

  it('follow the clock of the machine, not the simulated one', async () => {
    stand.sim.clock.advance(30 * 86_400_000);
    expect((await ask(stand.client.token())).status).toBe(200);
    stand.sim.clock.reset();
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
      'a longer path': client.token('iothubowner', 'a.localhost/devices/d/modules'),
      'a host that it begins with': client.token('iothubowner', 'a.localhost.example.org'),
      'the end of its host': client.token('iothubowner', 'localhost'),
      'expiry that is no number': client.token('iothubowner', 'a.localhost', Number.NaN),
      'no signature': good.replace(/sig=[^&]*/, 'sig='),
      'broken escape in the signature': good.replace(/sig=[^&]*/, 'sig=%E0%A4%A'),
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

  it('can be asked to need iothubowner for jobs', async () => {
    stand.hub.set({ jobsPolicy: 'owner' });
    expect((await stand.client.ask('GET', '/jobs', { policy: 'registryReadWrite' })).status).toBe(401);
    expect((await stand.client.ask('GET', '/jobs')).status).toBe(200);
    stand.hub.set({ jobsPolicy: 'registryReadWrite' });
  });
});

/** Policies that may do what a route does (§1.5); the first line that fits a route is meant. */
const allowed: readonly [RegExp, readonly PolicyName[]][] = [
  [/ \/jobs\/v2/, ['service']],
  [/ \/(jobs|configurations)/, ['registryReadWrite']],
  [/ .*\/applyConfigurationContent$/, ['registryReadWrite']],
  [/ \/(twins|digitaltwins|messages)\b/, ['service']],
  [/ \/devices\/query$/, ['service']],
  [/ .*\/commands$/, ['service']],
  [/ \/devices\/.*\/(files|messages)\b/, ['device']],
  [/^GET \/(devices|statistics)\b/, ['registryRead', 'registryReadWrite']],
  [/^(PUT|POST|DELETE) \/devices\b/, ['registryReadWrite']],
];

describe('policies', () => {
  beforeAll(() => stand.hub.set({ sasModuleQuirk: false }));
  afterAll(() => stand.hub.set({ sasModuleQuirk: true }));

  it.each(router.names)('open %s to those that hold its rights, and to no other', async (name) => {
    const others = allowed.find(([pattern]) => pattern.test(name))?.[1];
    if (others === undefined) throw new Error('who may do that?');
    const [method = '', path = ''] = name.split(' ');
    const missing = path.replaceAll(/\{\w+\}/g, 'missing');
    for (const policy of Object.keys(policyRights).filter(isPolicyName)) {
      // Node sends no length with the body of a GET or DELETE.
      const body = method === 'GET' || method === 'DELETE' ? {} : { body: {} };
      const { status } = await stand.client.ask(method, missing, { policy, ...body });
      const may = policy === 'iothubowner' || others.includes(policy);
      expect.soft(status === 401, `${policy}: ${status}`).toBe(!may);
    }
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
