import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerClient } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Connections } from '../../azure/connections.js';
import { hubScope } from '../../azure/entra.js';
import { type HubClient, openHub } from '../../azure/hub-client.js';
import { openStorage, type Storage } from '../../azure/storage.js';
import { storageTransport } from '../../azure/storage-transport.js';
import type { HubConfig } from '../../config/model.js';
import { connectionStringAt } from '../../demo/azurite.js';
import { type HubOptions, type SimulatedHub, type Simulator, startSimulator } from '../../simulator/index.js';
import {
  type SecureAzurite,
  startSecureAzurite,
  storageToken,
  type TestCredential,
  testCredential,
} from '../support/entra.js';
import { startService } from './service.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('hubScope', () => {
  it.each([
    ['x.azure-devices.net', 'https://iothubs.azure.net/.default'],
    ['x.azure-devices.cn', 'https://iothubs.azure.net/.default'],
    ['x.azure-devices.us', 'https://iothubs.azure.us/.default'],
    ['x.azure-devices.us:8443', 'https://iothubs.azure.us/.default'],
    ['azure-devices.us.example', 'https://iothubs.azure.net/.default'],
  ])('%s takes tokens for %s', (host, scope) => {
    expect(hubScope(host)).toBe(scope);
  });
});

const configOf = (host: string, more: Partial<HubConfig> = {}): HubConfig => ({
  alias: 'a',
  host,
  connectionString: null,
  readOnly: false,
  tier: 'S1',
  units: 1,
  maxRecords: 1_000_000,
  ...more,
});

describe('a hub under Microsoft Entra ID', () => {
  let folder: string;
  let simulator: Simulator;
  let simulated: SimulatedHub;
  let hub: HubClient;
  const user =
    '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hubferry-entra-'));
    const options: HubOptions = { name: 'a', userIdentities: [user] };
    simulator = await startSimulator({ hubs: [options], caDir: folder, seed: 1 });
    simulated = simulator.hub('a');
  });
  afterAll(async () => {
    await simulator.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => simulated.reset());
  afterEach(() => hub.close());

  const open = (credential: TestCredential, more: Partial<HubConfig> = {}): HubClient => {
    hub = openHub(configOf(simulated.hostName, more), { ca: readFileSync(simulator.caFile), credential });
    return hub;
  };
  const contributor = (seconds?: () => number): TestCredential =>
    testCredential(() => simulator.bearerToken(), seconds);

  it('takes the token of both clients, which is asked for once', async () => {
    const credential = contributor();
    open(credential);
    expect(hub.policy).toBeNull();
    simulated.load([
      { deviceId: 'd', status: 'disabled' },
      { deviceId: 'd', moduleId: 'm' },
    ]);
    expect(await hub.statistics()).toEqual({ total: 1 });
    expect(await hub.getDevice('d')).toMatchObject({ deviceId: 'd', status: 'disabled' });
    for await (const rows of hub.query('SELECT deviceId FROM devices')) expect(rows).toHaveLength(1);
    // Under SAS this is 401 for a disabled device (facts §1.5).
    expect(await hub.getModule('d', 'm')).toMatchObject({ moduleId: 'm' });
    await hub.probeWrite();
    await hub.probeJobs();
    await hub.view().statistics();
    expect(credential.asked).toEqual(['https://iothubs.azure.net/.default']);
  });

  it('is asked with a new token before the old one expires', async () => {
    let seconds = 60;
    const credential = contributor(() => seconds);
    open(credential);
    await hub.statistics();
    seconds = 3_600;
    await hub.listJobs();
    const before = credential.asked.length;
    expect(before).toBeGreaterThan(1);
    await hub.getDevice('d');
    await hub.listJobs();
    expect(credential.asked.length).toBe(before);
  });

  it('names the role that is missing', async () => {
    open(testCredential(() => simulator.bearerToken({ roles: ['IoT Hub Data Reader'] })));
    expect(await hub.statistics()).toEqual({ total: 0 });
    for (const probe of [() => hub.probeWrite(), () => hub.probeJobs()]) {
      await expect(probe()).rejects.toMatchObject({
        code: 'HUB_UNAUTHORIZED',
        message: expect.stringMatching(
          /^a\.localhost:\d+ under Microsoft Entra ID cannot .+ needs the role IoT Hub Data Contributor; Owner and Contributor do not let anybody/,
        ),
      });
    }
  });

  it('is not asked where there is no token', async () => {
    const secret = 'aHViZmVycnktcGxhbnRlZC1rZXktMDEyMzQ1Njc4OQ==';
    const chain = `ChainedTokenCredential authentication failed.\nA: is unavailable\nB: AADSTS7000215: Invalid client secret ${secret}. Trace ID: 1`;
    open(
      testCredential(() => {
        throw new Error(chain);
      }),
    );
    for (const call of [() => hub.statistics(), () => hub.getDevice('d')]) {
      await expect(call()).rejects.toMatchObject({
        code: 'SIGN_IN_FAILED',
        message:
          'Microsoft Entra ID gives this process no token (AADSTS7000215: Invalid client secret ***. Trace ID: 1)',
      });
    }
    expect(simulated.counts()).toEqual({});
  });

  it('creates jobs that reach storage by an identity of the hub', async () => {
    simulated.set({ jobIdentity: 'refuse' });
    open(contributor(), { identity: 'system' });
    await expect(hub.probeJobs()).rejects.toMatchObject({
      code: 'HUB_HAS_NO_IDENTITY',
      serviceCode: 'ManagedIdentityNotEnabled',
    });
    simulated.set({ jobIdentity: 'accept' });
    await hub.probeJobs();
    await expect(hub.createExport('https://x/y', { excludeKeys: false })).rejects.toMatchObject({
      code: 'CONTAINER_REFUSED',
    });
    await expect(hub.createImport('https://x/y', 'https://x/y')).rejects.toMatchObject({
      code: 'CONTAINER_REFUSED',
    });
    open(contributor(), { identity: user });
    await hub.probeJobs();
    open(contributor(), { identity: `${user}-other` });
    await expect(hub.probeJobs()).rejects.toMatchObject({ code: 'HUB_REFUSED' });
    await expect(hub.createImport('https://x/y', 'https://x/y')).rejects.toMatchObject({
      code: 'HUB_REFUSED',
      message: expect.stringContaining(`${user}-other`),
    });
  });
});

describe('storage under Microsoft Entra ID', () => {
  let folder: string;
  let azurite: SecureAzurite;
  let storage: Storage;
  let credential: TestCredential;
  const container = 'hf-entra';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hubferry-entra-'));
    azurite = await startSecureAzurite(folder);
    credential = testCredential(() => storageToken());
    storage = openStorage(
      { account: azurite.account, connectionString: null },
      { ca: azurite.ca, credential },
    );
    await storage.createContainer(container);
  });
  afterAll(async () => {
    await azurite.stop();
    rmSync(folder, { recursive: true });
  });

  /** The container as whoever has the URI sees it. */
  const bearer = (uri: string): ContainerClient =>
    new ContainerClient(uri, undefined, storageTransport(azurite.account, azurite.ca));

  it('keeps containers and blobs', async () => {
    expect(await storage.createContainer(container)).toBe(false);
    await storage.writeText(container, 'a', 'ü');
    const writer = storage.writer(container, 'b');
    await writer.write('x'.repeat(1_000));
    await writer.close();
    expect(await storage.readText(container, 'a')).toBe('ü');
    expect(await storage.size(container, 'b')).toBe(1_000);
    expect(await storage.readText(container, 'c')).toBeNull();
    expect(credential.asked).toEqual(['https://storage.azure.com/.default']);
  });

  it('copies blobs, also in folders of a container that was made beforehand', async () => {
    const home = openStorage(
      { account: `${azurite.account}/${container}`, connectionString: null, container },
      { ca: azurite.ca, credential },
    );
    await storage.createContainer('jobs');
    await home.writeText('hf-a', 'devices.txt', 'ü');
    await home.copy({ container: 'hf-a', blob: 'devices.txt' }, { container: 'jobs', blob: 'hf-a/x' });
    expect(await storage.readText('jobs', 'hf-a/x')).toBe('ü');
    expect(await storage.readText(container, 'hf-a/devices.txt')).toBe('ü');
  });

  it('grants by a SAS that ends by itself', async () => {
    const { access } = storage;
    expect(access).toMatchObject({ revocable: false, hubIdentity: false });
    const until = new Date(Date.now() + HOUR);
    const input = await access.grant(container, 'input', 'rl', until);
    const output = await access.grant(container, 'output', 'racwdl', until);
    expect(new URL(output).searchParams.get('si')).toBeNull();
    expect(new URL(output).searchParams.get('spr')).toBe('https');
    await bearer(output).getBlockBlobClient('d').upload('1', 1);
    expect((await bearer(input).getBlobClient('d').downloadToBuffer()).toString()).toBe('1');
    await expect(bearer(input).getBlockBlobClient('e').upload('1', 1)).rejects.toMatchObject({
      statusCode: 403,
    });
    await access.extend(container, new Date(0));
    await access.revoke(container);
    expect(await bearer(input).getBlobClient('d').exists()).toBe(true);
    await bearer(output).getBlobClient('d').delete();
  });

  it('is granted over TLS only, with the account’s key too', async () => {
    const connectionString = connectionStringAt(azurite.port, undefined, 'https');
    const withKey = openStorage({ account: azurite.account, connectionString }, { ca: azurite.ca });
    const uri = await withKey.access.grant(container, 'output', 'rwd', new Date(Date.now() + HOUR));
    expect(new URL(uri).searchParams.get('spr')).toBe('https');
    await bearer(uri).getBlockBlobClient('f').upload('1', 1);
    await withKey.access.revoke(container);
  });

  it('grants for as long as a job may take, at most for seven days', () => {
    const { access } = storage;
    const times = (deadline: number) => ({ lifetime: 1, deadline });
    expect(access.expiry(5, times(12 * HOUR))).toBe(5 + 13 * HOUR);
    expect(access.expiry(0, times(100 * 24 * HOUR))).toBe(7 * 24 * HOUR - 5 * MINUTE);
  });

  it('names the role that is missing', async () => {
    const service = await startService();
    try {
      service.answer((response) => {
        response.writeHead(403, {
          'x-ms-error-code': 'AuthorizationPermissionMismatch',
          'Content-Type': 'application/xml',
        });
        response.end(
          '<Error><Code>AuthorizationPermissionMismatch</Code><Message>Not authorized.</Message></Error>',
        );
      });
      const refused = openStorage(
        { account: `https://localhost:${service.port}/acct`, connectionString: null },
        { ca: service.ca, credential },
      );
      await expect(refused.createContainer('x')).rejects.toMatchObject({
        code: 'CONTAINERS_NOT_ALLOWED',
        message: expect.stringMatching(
          /The worker’s identity needs the role Storage Blob Data Contributor\.$/,
        ),
      });
      await expect(refused.access.grant('x', 'input', 'r', new Date())).rejects.toMatchObject({
        code: 'STORAGE_UNAUTHORIZED',
        message: expect.stringMatching(/The worker’s identity needs the role Storage Blob Delegator\.$/),
      });
      expect(service.asked[0]?.headers.authorization).toMatch(/^Bearer /);
    } finally {
      await service.close();
    }
  });

  it('is not asked where there is no token', async () => {
    const silent = testCredential(() => {
      throw new Error('CredentialUnavailableError: nothing found\nanywhere');
    });
    const none = openStorage(
      { account: azurite.account, connectionString: null },
      { ca: azurite.ca, credential: silent },
    );
    for (const call of [
      () => none.createContainer('x'),
      () => none.readText('x', 'y'),
      () => none.access.grant('x', 'input', 'r', new Date()),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'SIGN_IN_FAILED',
        message:
          'Microsoft Entra ID gives this process no token (CredentialUnavailableError: nothing found; anywhere)',
      });
    }
  });

  it('is not signed for by a hub that opens it by its own identity', async () => {
    const { account } = azurite;
    const [own, other] = [configOf('own.net', { identity: 'system' }), configOf('other.net')];
    const connections = new Connections(
      {
        path: '',
        hash: '',
        hubs: new Map([
          ['own', own],
          ['other', other],
        ]),
        storage: { account, connectionString: azurite.connectionString },
        temporal: null,
        metricsAddress: null,
        rates: 1,
        keys: [],
        keyId: null,
        settings: {} as never,
      },
      { ca: azurite.ca, credential },
    );
    const { access } = connections.jobContainers('own.net', account);
    expect(access).toMatchObject({ revocable: false, hubIdentity: true });
    expect(await access.grant(container, 'output', 'rwd', new Date())).toBe(`${account}/${container}`);
    await access.extend(container, new Date());
    await access.revoke(container);
    expect(connections.jobContainers('other.net', account).access).toMatchObject({
      revocable: true,
      hubIdentity: false,
    });
  });
});
