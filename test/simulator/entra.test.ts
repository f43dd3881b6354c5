import { readFileSync } from 'node:fs';
import { Agent, type AgentOptions } from 'node:https';
import { Registry } from 'azure-iothub';
import { decodeJwt, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataActions } from '../../simulator/access/rights.js';
import { roleActions } from '../../simulator/access/roles.js';
import type { DataAction, RoleName, TokenAsk } from '../../simulator/index.js';
import { router } from '../../simulator/routes/index.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ ownPort: 0 });
  stand.hub.load([
    { deviceId: 'd' },
    { deviceId: 'off', status: 'disabled' },
    { deviceId: 'off', moduleId: 'm' },
  ]);
});
afterAll(() => stand.close());

/** Answers with the status of a request that carries such a token. */
async function statusWith(
  ask: TokenAsk,
  method = 'GET',
  path = '/devices/d',
  body?: unknown,
): Promise<number> {
  const token = await stand.sim.bearerToken(ask);
  // Node sends no length with the body of a GET or DELETE.
  const sent = method === 'GET' || method === 'DELETE' ? {} : { body };
  return (await stand.client.ask(method, path, { authorization: `Bearer ${token}`, ...sent })).status;
}

describe('bearer tokens', () => {
  it('open everything by default, for an hour, for the audience of the service', async () => {
    const token = await stand.sim.bearerToken();
    const { aud, exp = 0, iat = 0, nbf } = decodeJwt(token);
    expect({ aud, seconds: exp - iat, nbf }).toEqual({
      aud: 'https://iothubs.azure.net',
      seconds: 3600,
      nbf: iat,
    });
    for (const path of ['/devices/d', '/twins/d', '/jobs', '/configurations', '/statistics/devices']) {
      expect.soft(await statusWith({}, 'GET', path), path).toBe(200);
    }
  });

  it('are good for every hub, and in any case of the scheme', async () => {
    const token = await stand.sim.bearerToken();
    const host = { host: stand.sim.hub('b').hostName };
    const answer = await stand.client.ask('GET', '/devices', {
      authorization: `bearer ${token}`,
      headers: host,
    });
    expect(answer.status).toBe(200);
  });

  it("follow the machine's clock, not the simulated one", async () => {
    stand.sim.clock.advance(24 * 3_600_000);
    expect(await statusWith({})).toBe(200);
    expect(await statusWith({ expiresIn: -1 })).toBe(401);
    expect(await statusWith({ notBefore: 60 })).toBe(401);
    stand.sim.clock.reset();
  });

  it('are refused with 401 and the envelope when anything is wrong', async () => {
    const good = await stand.sim.bearerToken();
    const [head = '', payload = '', signature = ''] = good.split('.');
    const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');
    const key = new Uint8Array(32);
    const foreign = new SignJWT({ roles: ['IoT Hub Data Contributor'] })
      .setProtectedHeader({ alg: 'HS256' })
      .setAudience('https://iothubs.azure.net')
      .setExpirationTime('1h');
    const wrong: Record<string, string> = {
      'no token': 'Bearer',
      'not a token': 'Bearer x.y.z',
      'another audience': `Bearer ${await stand.sim.bearerToken({ audience: 'https://management.azure.com' })}`,
      'another key': `Bearer ${await foreign.sign(key)}`,
      'changed signature': `Bearer ${head}.${payload}.${signature.split('').toReversed().join('')}`,
      'no signature': `Bearer ${unsigned}.${payload}.`,
      'no rights': `Bearer ${await stand.sim.bearerToken({ roles: [] })}`,
      'two tokens': `Bearer ${good} ${good}`,
    };
    for (const [what, authorization] of Object.entries(wrong)) {
      const answer = await stand.client.ask('GET', '/devices/d', { authorization });
      expect.soft(answer.status, what).toBe(401);
      expect.soft(answer.json.Message, what).toBe('ErrorCode:IotHubUnauthorizedAccess;Unauthorized');
    }
  });

  it('have the same key at every start with the same seed', async () => {
    const other = await startStand();
    const token = await other.sim.bearerToken();
    await other.close();
    const answer = await stand.client.ask('GET', '/devices/d', { authorization: `Bearer ${token}` });
    expect(answer.status).toBe(200);
  });

  it('are not bound to the quirk of modules under SAS (§1.5)', async () => {
    const path = '/devices/off/modules/m';
    expect((await stand.client.ask('GET', path)).status).toBe(401);
    expect(await statusWith({}, 'GET', path)).toBe(200);
    expect(await statusWith({}, 'GET', '/devices/missing/modules')).toBe(404);
  });
});

describe('actions', () => {
  /** A path for a route, of things that do not exist: whoever is let in gets another status than 401. */
  const pathOf = (route: string): [string, string] => {
    const [method = '', path = ''] = route.split(' ');
    return [method, path.replaceAll(/\{\w+\}/g, 'missing')];
  };

  const needs = router.routes.map(({ name, access }) => [name, access.actions] as const);
  it.each(needs.filter(([, wanted]) => wanted.length > 0))(
    '%s needs %j, all of them and no other',
    async (name, wanted) => {
      const [method, path] = pathOf(name);
      expect(await statusWith({ actions: wanted }, method, path, {})).not.toBe(401);
      for (const missing of wanted) {
        const actions = dataActions.filter((action) => action !== missing);
        expect.soft(await statusWith({ actions }, method, path, {}), missing).toBe(401);
      }
    },
  );

  it('are needed for all that does anything', async () => {
    const free = needs.filter(([, wanted]) => wanted.length === 0);
    for (const [name] of free) {
      const [method, path] = pathOf(name);
      expect.soft(await statusWith({}, method, path, {}), name).toBe(400);
    }
  });

  const cases: [RoleName, readonly DataAction[], readonly DataAction[]][] = [
    ['IoT Hub Data Contributor', dataActions, []],
    [
      'IoT Hub Data Reader',
      ['devices/read', 'twins/read', 'jobs/read', 'configurations/read', 'statistics/read'],
      ['devices/write', 'devices/delete', 'twins/write', 'jobs/write'],
    ],
    [
      'IoT Hub Registry Contributor',
      ['devices/read', 'devices/write', 'devices/delete'],
      ['twins/read', 'twins/write', 'jobs/read', 'configurations/read', 'statistics/read'],
    ],
    ['IoT Hub Twin Contributor', ['twins/read', 'twins/write'], ['devices/read', 'jobs/read']],
  ];
  it.each(cases)('%s holds its actions and no other', (role, held, notHeld) => {
    for (const action of held) expect(roleActions[role]).toContain(action);
    for (const action of notHeld) expect(roleActions[role]).not.toContain(action);
  });

  it('of roles are checked at each request', async () => {
    const may: Record<RoleName, readonly number[]> = {
      'IoT Hub Data Contributor': [200, 200, 200],
      'IoT Hub Data Reader': [200, 401, 200],
      'IoT Hub Registry Contributor': [200, 200, 401],
      'IoT Hub Twin Contributor': [401, 401, 200],
    };
    for (const [role, statuses] of Object.entries(may) as [RoleName, readonly number[]][]) {
      const ask = { roles: [role] };
      const given = [
        await statusWith(ask),
        await statusWith(ask, 'PUT', `/devices/${role.replaceAll(' ', '-')}`, {}),
        await statusWith(ask, 'GET', '/twins/d'),
      ];
      expect.soft(given, role).toEqual(statuses);
    }
  });
});

/** Microsoft's client knows no port: this agent puts its own over the request's. */
class OwnPortAgent extends Agent {
  override createConnection(...[options, callback]: Parameters<Agent['createConnection']>) {
    const { port, ca } = this.options as AgentOptions & { port: number };
    const to = { ...options, host: '127.0.0.1', port, ca, servername: 'localhost' };
    return super.createConnection(to, callback);
  }
}

describe('Registry.fromTokenCredential of azure-iothub', () => {
  it('works, and asks for the scope of the service', async () => {
    const scopes: unknown[] = [];
    const registry = Registry.fromTokenCredential(stand.hub.ownHostName ?? '', {
      getToken: async (scope: string | string[]) => {
        scopes.push(scope);
        return { token: await stand.sim.bearerToken(), expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    });
    const port = Number(stand.hub.ownHostName?.split(':')[1]);
    const { _restApiClient: client } = registry as unknown as {
      _restApiClient: { setOptions(options: { http: { agent: Agent } }): void };
    };
    client.setOptions({
      http: { agent: new OwnPortAgent({ ca: readFileSync(stand.sim.caFile), port }) },
    });
    expect((await registry.get('d')).responseBody).toMatchObject({ deviceId: 'd' });
    // Under Entra ID modules of a disabled device can be read.
    expect((await registry.getModulesOnDevice('off')).responseBody).toHaveLength(1);
    expect(scopes[0]).toBe('https://iothubs.azure.net/.default');
  });
});
