import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectClient, ensureSearchAttributes } from '../../worker/connection.js';
import {
  type DevServer,
  SEARCH_ATTRIBUTES,
  startDevServer,
  wantsFastTimers,
} from '../../worker/dev-server.js';
import { freePort } from '../../worker/port.js';
import { identify } from '../../worker/processes.js';
import { findServer } from '../../worker/server-binary.js';

let folder: string;
let binary: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-dev-'));
  binary = (await findServer()).path;
}, 120_000);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  [undefined, false],
  ['', false],
  ['0', false],
  ['False', false],
  ['1', true],
  ['yes', true],
])('HUBFERRY_FAST_TIMERS=%s is %s', (text, wanted) => {
  expect(wantsFastTimers(text === undefined ? {} : { HUBFERRY_FAST_TIMERS: text })).toBe(wanted);
});

describe('startDevServer', () => {
  test('on a taken port says so', async () => {
    const stranger = createServer();
    const port = await listen(stranger);
    await expect(startDevServer({ binary, port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
    stranger.close();
  });

  test('that ends at once is told with its last words and its log', async () => {
    const logFile = join(folder, 'bad.log');
    const start = startDevServer({ binary, logFile, extraArgs: ['--bogus'] });
    await expect(start).rejects.toThrow('unknown flag: --bogus');
    await expect(start).rejects.toThrow(logFile);
  });

  test('with a program that cannot be run is told', async () => {
    await expect(startDevServer({ binary: join(folder, 'none') })).rejects.toMatchObject({
      code: 'EMBEDDED_FAILED',
    });
  });

  test('keeps its runs in the database file over a kill, on the same port', async () => {
    const dbFile = join(folder, 'temporal.db');
    const logFile = join(folder, 'server.log');
    const first = await startDevServer({ binary, dbFile, logFile });
    await withClient(first, (client) =>
      client.workflow.start('any', { workflowId: 'kept', taskQueue: 'nobody-listens' }),
    );
    first.kill();
    expect(await first.exited).toMatchObject({ signal: 'SIGKILL' });

    const second = await startDevServer({ binary, dbFile, logFile, port: first.port });
    expect(second.address).toBe(first.address);
    const described = await withClient(second, (client) => client.workflow.getHandle('kept').describe());
    expect(described.status.name).toBe('RUNNING');
    await second.stop();
    expect(identify(second.pid)).toBeNull();
    expect(readFileSync(logFile, 'utf8')).toContain(dbFile);
  });
});

describe('a running server', () => {
  let server: DevServer;
  beforeAll(async () => {
    server = await startDevServer({ binary, fastTimers: true });
  });
  afterAll(() => server.stop());

  test('has the search attributes from the start', async () => {
    const { connection } = await connectClient({ address: server.address, namespace: 'default' });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace: 'default',
    });
    expect(Object.keys(customAttributes ?? {})).toEqual(
      expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
    );
    await connection.close();
  });

  test('is reached without the proxy of the environment, through which others are', async () => {
    let asked = 0;
    const proxy = createServer((socket) => {
      asked++;
      socket.destroy();
    });
    const port = await listen(proxy);
    vi.stubEnv('http_proxy', `http://127.0.0.1:${port}`);
    for (const name of ['grpc_proxy', 'https_proxy', 'no_proxy', 'no_grpc_proxy']) vi.stubEnv(name, '');
    for (const host of ['127.0.0.1', 'localhost']) {
      const { connection } = await connectClient({ address: `${host}:${server.port}`, namespace: 'default' });
      await connection.close();
    }
    expect(asked).toBe(0);
    const far = connectClient(
      { address: 'temporal.example:7233', namespace: 'default' },
      { connectTimeout: 1_000 },
    );
    await expect(far).rejects.toMatchObject({ code: 'TEMPORAL_UNREACHABLE' });
    expect(asked).toBeGreaterThan(0);
    proxy.close();
  });

  async function bareNamespace(connection: Connection, namespace: string): Promise<void> {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1d'),
    });
  }

  test('gets them in a namespace that lacks them, and only once', async () => {
    const { connection } = await connectClient({ address: server.address, namespace: 'default' });
    const namespace = 'bare';
    await bareNamespace(connection, namespace);
    await ensureSearchAttributes(connection, namespace);
    await ensureSearchAttributes(connection, namespace);
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    expect(Object.keys(customAttributes ?? {})).toEqual(
      expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
    );
    await connection.close();
  });

  test('gets them from two workers at once', async () => {
    const { connection } = await connectClient({ address: server.address, namespace: 'default' });
    const namespace = 'raced';
    await bareNamespace(connection, namespace);
    const { operatorService } = connection;
    const add = operatorService.addSearchAttributes.bind(operatorService);
    vi.spyOn(operatorService, 'addSearchAttributes').mockImplementation(async (request) => {
      await add(request); // the other worker's
      throw new Error('search attribute already exists');
    });
    await ensureSearchAttributes(connection, namespace);
    await connection.close();
  });

  test('that refuses them: the command to have them registered is in the message', async () => {
    const { connection } = await connectClient({ address: server.address, namespace: 'default' });
    const namespace = 'refused';
    await bareNamespace(connection, namespace);
    vi.spyOn(connection.operatorService, 'addSearchAttributes').mockRejectedValue(new Error('not allowed'));
    const ensuring = ensureSearchAttributes(connection, namespace);
    await expect(ensuring).rejects.toMatchObject({ code: 'TEMPORAL_REFUSED' });
    await expect(ensuring).rejects.toThrow(`search-attribute create --namespace ${namespace} --name`);
    await connection.close();
  });

  test('refuses an unknown namespace by name', async () => {
    const connecting = connectClient({ address: server.address, namespace: 'nope' });
    await expect(connecting).rejects.toMatchObject({ code: 'TEMPORAL_UNREACHABLE' });
    await expect(connecting).rejects.toThrow('has no namespace ‘nope’');
  });
});

test('a port where nobody answers is TEMPORAL_UNREACHABLE', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const connecting = connectClient({ address, namespace: 'default' }, { connectTimeout: 300 });
  await expect(connecting).rejects.toMatchObject({ code: 'TEMPORAL_UNREACHABLE' });
  await expect(connecting).rejects.toThrow(address);
});

async function withClient<T>(server: DevServer, step: (client: Client) => Promise<T>): Promise<T> {
  const { connection, client } = await connectClient({ address: server.address, namespace: 'default' });
  try {
    return await step(client);
  } finally {
    await connection.close();
  }
}

/** Listens on a free loopback port, and says which. */
async function listen(listener: Server): Promise<number> {
  return await new Promise((resolve) => {
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
}
