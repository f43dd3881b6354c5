import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { openStorage } from '../../azure/storage.js';
import { type FullRecord, generateFleet, type SimulatedHub } from '../../simulator/index.js';
import { type DevServer, startDevServer } from '../../worker/dev-server.js';
import { findServer } from '../../worker/server-binary.js';
import type { RunReport } from '../../workflows/messages.js';
import { compiledCommand } from '../support/compiled.js';
import {
  type SecureAzurite,
  type SignIn,
  type SimulatorProcess,
  startSecureAzurite,
  startSignIn,
  startSimulatorProcess,
  storageToken,
} from '../support/entra.js';
import { parked } from '../support/parking.js';
import { storageOfFile } from '../support/services.js';
import { essence, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

const FAST =
  '{ chunkLines: 200, settle: 20ms, heartbeat: 5s, slotWait: 50ms, poll: { first: 20ms, max: 200ms }, edgePoll: 50ms }';

const HUB_RESOURCE = 'https://iothubs.azure.net';
const STORAGE_RESOURCE = 'https://storage.azure.com';

describe('under Microsoft Entra ID, signed in by the environment', () => {
  let folder: string;
  let azurite: SecureAzurite;
  let simulator: SimulatorProcess;
  let signIn: SignIn;
  let temporal: DevServer;
  let output = '';
  const children = new Set<ChildProcess>();
  const tokens = new Set<string>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hubferry-identity-'));
    azurite = await startSecureAzurite(folder);
    [simulator, temporal] = await Promise.all([
      startSimulatorProcess(folder, ['old', 'new']),
      findServer().then(({ path }) => startDevServer({ binary: path, fastTimers: true })),
    ]);
    signIn = await startSignIn(async (resource) => {
      const token = resource === HUB_RESOURCE ? await simulator.admin.bearerToken() : storageToken();
      tokens.add(token);
      return token;
    });
    writeFileSync(
      join(folder, 'hubferry.yaml'),
      [
        'hubs:',
        `  old: { hostName: "${simulator.hosts['old']}", readOnly: true }`,
        `  new: { hostName: "${simulator.hosts['new']}" }`,
        `storage: { accountUrl: "${azurite.account}" }`,
        `temporal: { address: "${temporal.address}" }`,
        `settings: ${FAST}`,
        '',
      ].join('\n'),
    );
    const worker = hubferry('worker');
    await until('the worker', () => worker.output().includes('worker ready'), 60_000);
  }, 120_000);
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all([temporal.stop(), simulator.stop(), azurite.stop(), signIn.close()]);
    rmSync(folder, { recursive: true });
  });

  /** A command of the CLI. Nothing but the environment says who it is. */
  function hubferry(...args: string[]): {
    ended: Promise<{ code: number; stdout: string }>;
    output(): string;
  } {
    const [command, ...before] = compiledCommand('client/main');
    const child = spawn(command, [...before, ...args], {
      cwd: folder,
      env: {
        ...process.env,
        ...signIn.env,
        NODE_EXTRA_CA_CERTS: azurite.caFile,
        HUBFERRY_HOME: join(folder, 'home'),
      },
    });
    children.add(child);
    let all = '';
    let stdout = '';
    child.stdout.on('data', (data: Buffer) => {
      stdout += data.toString();
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        all += data.toString();
        output += data.toString();
      });
    }
    const ended = once(child, 'close').then(([code]) => {
      children.delete(child);
      return { code: Number(code), stdout };
    });
    return { ended, output: () => all };
  }

  async function dumpOf(name: string): Promise<FullRecord[]> {
    const records: FullRecord[] = [];
    for await (const record of simulator.admin.hub(name).dump()) records.push(record);
    return records;
  }

  it('a registry is migrated: two hubs, storage and the jobs’ access, without any key', async () => {
    await simulator.admin.hub('old').load(generateFleet({ devices: 300, seed: 3 }));
    const checked = await hubferry('check').ended;
    expect(checked.stdout).not.toContain('failed');
    expect(checked.code).toBe(0);

    const { code, stdout } = await hubferry('migrate', 'old', 'new', '--yes', '--json').ended;
    const report = JSON.parse(stdout) as RunReport;
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(code).toBe(0);
    expect(essence(await dumpOf('new'))).toEqual(essence(await dumpOf('old')));
    expect(report.jobs.filter(({ type }) => type === 'import').length).toBeGreaterThan(1);

    // Tokens are kept: a process asks once for each kind.
    const asked = (resource: string): number => signIn.asked.filter((one) => one === resource).length;
    expect(asked(HUB_RESOURCE)).toBe(1);
    expect(asked(STORAGE_RESOURCE)).toBeLessThanOrEqual(4);
    expect(tokens.size).toBeGreaterThan(1);
    for (const token of tokens) expect(output).not.toContain(token.slice(0, 40));
  });

  it('a registry is verified, and runs are listed', async () => {
    expect((await hubferry('verify', 'old', 'new').ended).code).toBe(0);
    const { code, stdout } = await hubferry('list', '--json').ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ workflow: 'verify' }, { outcome: 'verified' }]);
  });

  it('what is left in storage ends by itself, and holds no import', async () => {
    const storage = openStorage(
      { account: azurite.account, connectionString: azurite.connectionString },
      { ca: azurite.ca },
    );
    const left: string[] = [];
    for await (const name of storage.listContainers('hf-')) left.push(name);
    // The two snapshots that migrate keeps.
    expect(left).toHaveLength(2);
  });
});

describe('jobs that reach storage by an identity of the hub', () => {
  let stand: TestStand;
  const user =
    '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u';
  const services = sharedServices(inject);
  const hub = (name: string): SimulatedHub => stand.hub(name);

  beforeAll(async () => {
    const identityStorage = storageOfFile(services);
    stand = await openTestStand(
      services,
      [
        { name: 'old', identityStorage, jobIdentity: 'accept' },
        { name: 'new', identityStorage, jobIdentity: 'accept', userIdentities: [user] },
      ],
      { old: ', identity: system', new: `, identity: "${user}"` },
    );
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    hub('old').load(generateFleet({ devices: 40, seed: 3 }));
  });
  afterEach(() => {
    for (const name of ['old', 'new']) hub(name).reset();
  });

  it('migrate a registry, and nothing is signed', async () => {
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
  });

  it('are tried again while a role is new', async () => {
    hub('old').clear();
    hub('old').load([{ deviceId: 'd' }]);
    hub('new').set({ identityRoleDelay: 100 });
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(hub('new').counts()['POST /jobs/create']).toBeGreaterThan(
      report.jobs.filter((job) => job.hub === hub('new').hostName).length,
    );
  });

  it('let a run rest at once where the hub has no identity', async () => {
    hub('new').set({ jobIdentity: 'refuse' });
    const handle = await stand.migrate();
    await parked(handle, 'HUB_HAS_NO_IDENTITY');
    expect(hub('new').counts()['POST /jobs/create']).toBe(1);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
  });
});
