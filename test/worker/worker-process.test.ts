import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ERRORS } from '../../registry/errors.js';
import { type DevServer, startDevServer } from '../../worker/dev-server.js';
import { freePort } from '../../worker/port.js';
import { findServer } from '../../worker/server-binary.js';
import { compiledCommand } from '../support/compiled.js';
import { until } from '../support/until.js';

const [NODE, ...CLI] = compiledCommand('client/main');
const KEY = 'zm0qYOLPvh8tVpzG3fR1sXcB7kN5dJ2wQ9aE4uT6yHM=';

let folder: string;
let config: string;
let binary: string;
let server: DevServer | undefined;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-worker-'));
  config = join(folder, 'hubferry.yaml');
  const hub = `HostName=h.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}`;
  writeFileSync(config, `hubs:\n  old: { connectionString: "${hub}" }\n`);
  ({ path: binary } = await findServer());
}, 120_000);
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

interface Worker {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly exited: Promise<number | null>;
}

/** `hubferry worker …` in a process of its own, with an IPC channel. */
function worker(...args: string[]): Worker {
  return workerWith({}, ...args);
}

/** The same with more in its environment. */
function workerWith(env: NodeJS.ProcessEnv, ...args: string[]): Worker {
  const child = spawn(NODE, [...CLI, 'worker', '--config', config, ...args], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => (out += String(chunk)));
  child.stderr?.on('data', (chunk) => (err += String(chunk)));
  const exited = once(child, 'close').then(() => child.exitCode);
  return { child, out: () => out, err: () => err, exited };
}

test('waits for its server, says when it is ready, drains on SIGTERM', async () => {
  const port = await freePort();
  const { child, out, err, exited } = worker('--address', `127.0.0.1:${port}`, '--wait', '20');
  const said: unknown[] = [];
  child.on('message', (message) => said.push(message));
  await until('it waits', () => err().includes('waiting for the Temporal server'));
  server = await startDevServer({ binary, port });
  await until('it is ready', () => out().includes('\n'));
  expect(out()).toMatch(
    /^worker ready queue=hubferry address=127\.0\.0\.1:\d+ namespace=default pid=\d+ build=\S+\n$/,
  );
  await until('it says so to its parent', () => said.includes('ready'));
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(err()).toContain('worker draining');
  expect(out() + err()).not.toContain(KEY.slice(0, 10));
});

test('ends at once when it is told to while it waits', async () => {
  const { child, out, err, exited } = worker('--address', `127.0.0.1:${await freePort()}`);
  await until('it waits', () => err().includes('waiting for the Temporal server'));
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(out()).toBe('');
});

test('prints the ready line as JSON; the death of a supervisor ends it', async () => {
  const { address } = server ?? { address: '' };
  const command = [...CLI, 'worker', '-c', config, '--address', address, '--json', '--queue', 'mine'];
  const child = spawn(NODE, command, {
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    env: { ...process.env, HUBFERRY_SUPERVISED: '1' },
  });
  children.push(child);
  const [line] = await once(child.stdout ?? child, 'data');
  expect(JSON.parse(String(line))).toMatchObject({ ready: true, queue: 'mine', address, pid: child.pid });
  child.disconnect();
  expect((await once(child, 'exit'))[0]).toBe(0);
});

test('a supervisor that dies while the worker loads its modules ends it, too', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const { child, err } = workerWith({ HUBFERRY_SUPERVISED: '1' }, '--address', address);
  child.disconnect();
  expect((await once(child, 'exit'))[0]).toBe(0); // Node sends no 'close' here
  await until('it says why', () => err().includes('supervisor gone'));
});

test('a server on this machine is reached without the proxy of the environment', async () => {
  const proxy = `http://127.0.0.1:${await freePort()}`;
  const proxies = {
    http_proxy: proxy,
    https_proxy: proxy,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    ALL_PROXY: proxy,
  };
  const { address } = server ?? { address: '' };
  const { child, out, exited } = workerWith({ ...proxies, no_proxy: '', NO_PROXY: '' }, '--address', address);
  await until('it is ready', () => out().includes('\n'));
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
});

test('serves metrics where it is told, and only where nobody else does', async () => {
  const { address } = server ?? { address: '' };
  const port = await freePort();
  const { child, out, exited } = worker('--address', address, '--metrics-port', String(port));
  await until('it is ready', () => out().includes('\n'), 60_000);
  const metrics = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(await metrics.text()).toContain('temporal_num_pollers{');
  const second = worker('--address', address, '--metrics-port', String(port));
  const said: unknown[] = [];
  second.child.on('message', (message) => said.push(message));
  expect(await second.exited).toBe(1);
  expect(second.err()).toContain(
    `METRICS_NOT_SERVED: Metrics cannot be served at 127.0.0.1:${port}: another process listens there.`,
  );
  expect(said).toMatchObject([{ failed: { code: 'METRICS_NOT_SERVED' } }]);
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
});

test('an unknown log level is wrong usage', async () => {
  const { err, exited } = workerWith({ HUBFERRY_LOG_LEVEL: 'loud' }, '--address', 'nowhere:1');
  expect(await exited).toBe(2);
  expect(err()).toContain('USAGE: HUBFERRY_LOG_LEVEL is ‘loud’; expected trace, debug');
});

test('without a server it gives up with TEMPORAL_UNREACHABLE, and its parent hears why', async () => {
  const { child, err, exited } = worker('--address', `127.0.0.1:${await freePort()}`, '--wait', '0');
  const said: unknown[] = [];
  child.on('message', (message) => said.push(message));
  expect(await exited).toBe(1);
  expect(err()).toContain('TEMPORAL_UNREACHABLE: No Temporal server answers at 127.0.0.1:');
  expect(said).toMatchObject([
    { failed: { code: 'TEMPORAL_UNREACHABLE', hint: ERRORS.TEMPORAL_UNREACHABLE.hint } },
  ]);
});

test('without an address it is wrong usage, seen without a network call', async () => {
  const { err, exited } = worker();
  expect(await exited).toBe(2);
  expect(err()).toContain('names no Temporal server, and there is no --address');
});
