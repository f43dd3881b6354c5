import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { isLoopbackHost } from '../../azure/connections.js';
import { type Config, loadConfig, parseDuration } from '../../config/index.js';
import { policyKeys } from '../../simulator/access/sas.js';
import { SEARCH_ATTRIBUTES } from '../../worker/dev-server.js';
import { parse } from './cli.js';
import { ROOT, read, sources } from './pages.js';

type Condition = 'service_started' | 'service_healthy' | 'service_completed_successfully';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly network_mode?: string;
  readonly profiles?: readonly string[];
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: Condition }>>;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is read of it is what is tested here
const compose = parseYaml(read('docker-compose.yml'), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const folder = mkdtempSync(join(tmpdir(), 'hubferry-compose-'));
afterAll(() => rmSync(folder, { recursive: true }));

function service(name: string): Service {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`There is no service ${name}.`);
  return found;
}

/** Compose replaces `$$` by `$`. */
const unescaped = (text: string): string => text.replaceAll('$$', '$');

/** Services of our own image, whose entry point is `hubferry`. */
const ours = services.filter(([, { build }]) => build !== undefined);
const workers = ours.filter(([, { command }]) => command?.[0] === 'worker');
/** Services that others wait for to end. */
const oneShots = new Set(
  services.flatMap(([, { depends_on = {} }]) =>
    Object.entries(depends_on).flatMap(([name, { condition }]) =>
      condition === 'service_completed_successfully' ? [name] : [],
    ),
  ),
);

const simulator = parse(service('simulator').command ?? []).opts<{
  hub: string[];
  port: number;
  seed: number;
  caDir: string;
  fleet: { hub: string }[];
}>();

function configOf({ environment = {} }: Service): Config {
  const path = join(folder, 'hubferry.yaml');
  writeFileSync(path, unescaped(compose.configs['hubferry']?.content ?? ''));
  return loadConfig({ path, env: environment });
}

describe('docker-compose.yml', () => {
  it('has the parts of a stand', () => {
    const images = services.map(([, { image }]) => image.replace(/:.*/, ''));
    expect(images).toEqual(
      expect.arrayContaining([
        'postgres',
        'temporalio/server',
        'temporalio/ui',
        'mcr.microsoft.com/azure-storage/azurite',
      ]),
    );
    expect(workers).toHaveLength(2);
    expect(simulator.hub).toHaveLength(2);
  });

  it('pins every image, and uses none that is deprecated', () => {
    for (const [, { image }] of services) expect(image).toMatch(/:(?:\d+[\w.-]*|local)$/);
    for (const [, { image }] of services) expect(image).not.toContain('auto-setup');
  });

  it('publishes ports on loopback only', () => {
    const ports = services.flatMap(([, { ports: published = [] }]) => published);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([]);
    const shared = services.filter(([, { network_mode }]) => network_mode !== undefined);
    expect(shared.filter(([, { ports: own }]) => own !== undefined)).toEqual([]);
  });

  it('watches the health of whatever keeps running', () => {
    const running = services.filter(([name, { profiles }]) => !oneShots.has(name) && profiles === undefined);
    for (const [name, { healthcheck, restart }] of running) {
      expect(healthcheck?.test.length, name).toBeGreaterThan(1);
      expect(healthcheck?.test[0], name).toMatch(/^CMD/);
      expect(restart, name).toBe('unless-stopped');
    }
  });

  it('waits only for services that are there and can be waited for', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const { healthcheck } = service(other);
        expect(condition === 'service_healthy' && healthcheck === undefined, `${name}: ${other}`).toBe(false);
      }
    }
  });

  it('keeps data in named volumes, each declared and used', () => {
    const used = services.flatMap(([, { volumes = [] }]) =>
      volumes.flatMap((volume) => volume.split(':', 1)),
    );
    expect([...new Set(used)].toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
    const configs = services.flatMap(([, { configs: mounted = [] }]) => mounted.map(({ source }) => source));
    expect([...new Set(configs)].toSorted()).toEqual(Object.keys(compose.configs).toSorted());
  });

  it('has one password of PostgreSQL, which can be set', () => {
    const passwords = services.flatMap(([, { environment = {} }]) =>
      Object.entries(environment).flatMap(([name, value]) => (/PASSWORD|PWD/.test(name) ? [value] : [])),
    );
    expect(passwords).toHaveLength(3);
    for (const password of passwords) expect(password).toBe('${POSTGRES_PASSWORD:-hubferry-development}');
  });

  it('registers the search attributes of hubferry’s runs', () => {
    const [script = ''] = service('temporal-namespace').command ?? [];
    expect(script).toContain('--name $$name --type Keyword');
    const names = /for name in (.*); do/.exec(script)?.[1]?.split(' ');
    expect(Object.fromEntries((names ?? []).map((name) => [name, 'Keyword']))).toEqual(SEARCH_ATTRIBUTES);
  });
});

describe('the services of our own image', () => {
  it.each(ours)('%s runs a command that the program takes', (_name, { command = [] }) => {
    if (command.join(' ') !== '--help') expect(() => parse(command)).not.toThrow();
  });

  it.each(ours)('%s is given only environment that is read', (_name, { environment = {} }) => {
    const lines = sources().flatMap(({ text }) => text.split('\n').filter((line) => line.includes('env')));
    const references = compose.configs['hubferry']?.content ?? '';
    const unread = Object.keys(environment).filter(
      (name) =>
        !references.includes(`$\${${name}}`) && !lines.some((line) => new RegExp(`\\b${name}\\b`).test(line)),
    );
    expect(unread).toEqual([]);
  });

  it.each(workers)('%s may end in peace', (_name, { command = [], stop_grace_period = '0s' }) => {
    const { grace } = parse(command).opts<{ grace: number }>();
    // After the grace the worker's activities are cancelled, and given up 15 s later.
    expect(parseDuration(stop_grace_period)).toBeGreaterThan(grace + 15_000);
  });

  it('publishes the metrics of every worker, which share a network', () => {
    const places = workers.map(([, { command = [] }]) => parse(command).opts<{ metricsPort: string }>());
    const ports = places.map(({ metricsPort }) => /^0\.0\.0\.0:(\d+)$/.exec(metricsPort)?.[1]);
    expect(new Set(ports).size).toBe(2);
    expect(service('simulator').ports).toEqual(ports.map((port) => `127.0.0.1:${port}:${port}`));
  });

  const connected = ours.filter(([name]) => name !== 'simulator');

  it.each(connected)('%s has a configuration that leads to the simulated hubs', (_name, own) => {
    const config = configOf(own);
    expect([...config.hubs.keys()]).toEqual(simulator.hub);
    for (const [alias, { host, connectionString }] of config.hubs) {
      expect(host).toBe(`${alias}.localhost:${simulator.port}`);
      const key = policyKeys(alias, simulator.seed).iothubowner;
      expect(connectionString?.endsWith(`;SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`)).toBe(
        true,
      );
    }
    // The simulator answers on loopback only, which is another one in each container.
    expect(own.network_mode).toBe('service:simulator');
    expect(simulator.fleet.map(({ hub }) => hub)).toEqual(['old']);
    expect(config.hubs.get('old')?.readOnly).toBe(true);
  });

  it.each(connected)(
    '%s trusts the simulator’s certificates',
    (_name, { environment = {}, volumes = [] }) => {
      expect(environment['NODE_EXTRA_CA_CERTS']).toBe(`${simulator.caDir}/ca.pem`);
      const volume = service('simulator').volumes?.find((mount) => mount.endsWith(`:${simulator.caDir}`));
      expect(volumes).toContain(`${volume}:ro`);
    },
  );

  it.each(connected)('%s reaches storage where the hubs reach it', (_name, own) => {
    const { storage } = configOf(own);
    const { hostname, port } = new URL(storage?.account ?? '');
    // A service name without a dot: Azurite would take the part before a dot for the account.
    expect(hostname).toBe('azurite');
    expect(isLoopbackHost(hostname)).toBe(false);
    expect(service('azurite').ports).toContain(`127.0.0.1:${port}:${port}`);
    expect(service('azurite').command?.join(' ')).toContain('--blobHost 0.0.0.0');
    const [, key] = /AccountKey=([^;]+)/.exec(storage?.connectionString ?? '') ?? [];
    expect(read('demo/azurite.ts')).toContain(String(key));
  });

  it.each(connected)('%s finds Temporal by its service', (_name, own) => {
    const [host, port] = configOf(own).temporal?.address.split(':') ?? [];
    expect(service(host ?? '').ports).toContain(`127.0.0.1:${port}:${port}`);
    expect(service(host ?? '').environment?.['BIND_ON_IP']).toBe('0.0.0.0');
    const { healthcheck } = own;
    if (healthcheck) expect(healthcheck.test.at(-1)).toBe(port);
  });

  it.each(connected)('%s finds its configuration in its folder', (_name, { configs = [] }) => {
    const folders = [...read('Dockerfile').matchAll(/^WORKDIR (\S+)$/gm)].map(([, path]) => path);
    expect(configs).toEqual([{ source: 'hubferry', target: `${folders.at(-1)}/hubferry.yaml` }]);
  });
});

describe('Dockerfile', () => {
  const lines = read('Dockerfile').split('\n');
  const after = (word: string): string[] =>
    lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));

  it('builds on glibc, for which Temporal’s SDK has binaries', () => {
    const bases = after('FROM').map((from) => from.split(' ')[0]);
    expect(bases).toHaveLength(2);
    for (const base of bases) expect(base).toMatch(/^node:20-bookworm-slim$/);
  });

  it('leaves development behind, and does not run as root', () => {
    expect(lines).toContain('RUN npm run build && npm ci --omit=dev');
    expect(after('USER')).toEqual(['node']);
    expect(lines.indexOf('USER node')).toBeGreaterThan(
      lines.findLastIndex((line) => line.startsWith('RUN ')),
    );
    expect(after('ENTRYPOINT')).toEqual(['["hubferry"]']);
  });

  it('copies what is there, and .dockerignore lets it through', () => {
    const ignored = read('.dockerignore').split('\n');
    const local = after('COPY')
      .filter((copy) => !copy.startsWith('--from'))
      .flatMap((copy) => copy.split(' ').slice(0, -1))
      .filter((path) => path !== '.');
    expect(local.filter((path) => !existsSync(`${ROOT}${path}`))).toEqual([]);
    const { include } = JSON.parse(read('tsconfig.build.json')) as { include: string[] };
    const needed = [...local, ...include, 'tsconfig.json', 'tsconfig.build.json', 'LICENSE'];
    expect(needed.filter((path) => ignored.includes(path.split('/')[0] ?? ''))).toEqual([]);
  });

  it('has the programs that health checks run', () => {
    const [, target = ''] = /^COPY docker\/worker-health\.mjs (\S+)$/m.exec(read('Dockerfile')) ?? [];
    const [, program = ''] = /^WORKDIR (\/opt\S+)$/m.exec(read('Dockerfile')) ?? [];
    const path = join(program, target, 'worker-health.mjs');
    for (const [, { healthcheck }] of workers) expect(healthcheck?.test).toContain(path);
  });
});
