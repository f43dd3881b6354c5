import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Config, hubOf, type LoadOptions, loadConfig, storageOf } from '../../config/index.js';
import { HubferryError } from '../../registry/errors.js';

const KEY = 'aHViZmVycnktcGxhbnRlZC1rZXktMDEyMzQ1Njc4OQ==';
const OLD = `HostName=old.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}`;
const NEW = `HostName=new.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}`;
const STORAGE = `DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=${KEY};EndpointSuffix=core.windows.net`;
const env = { OLD_HUB: OLD, NEW_HUB: NEW, STORAGE };

const GOOD = `hubs:
  old: { connectionString: "\${OLD_HUB}", readOnly: true }
  new: { connectionString: "\${NEW_HUB}" }
storage: { connectionString: "\${STORAGE}" }
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(text: string, options: Partial<LoadOptions> = {}): Config {
  writeFileSync(join(folder, 'hubferry.yaml'), text);
  return loadConfig({ cwd: folder, env, ...options });
}

/** What `load` fails with; never with a secret in it. */
function failure(text: string, options: Partial<LoadOptions> = {}): { code: string; message: string } {
  try {
    load(text, options);
  } catch (error) {
    if (!(error instanceof HubferryError)) throw error;
    const said = `${error.message} ${error.hint} ${error.stack ?? ''}`;
    expect(said).not.toContain(KEY.slice(0, 20));
    return { code: error.code, message: error.message };
  }
  throw new Error('it was accepted');
}

describe('a good configuration', () => {
  it('is resolved, with defaults', () => {
    const config = load(GOOD);
    expect(config.path).toBe(join(folder, 'hubferry.yaml'));
    expect([...config.hubs.keys()]).toEqual(['old', 'new']);
    expect(config.hubs.get('old')).toEqual({
      alias: 'old',
      host: 'old.azure-devices.net',
      connectionString: OLD,
      readOnly: true,
      tier: 'S1',
      units: 1,
      maxRecords: 1_000_000,
    });
    expect(config.storage?.account).toBe('https://acct.blob.core.windows.net');
    expect(config.temporal).toBeNull();
    expect(config.settings).toEqual({
      chunkLines: 50_000,
      maxLineBytes: 1_048_576,
      partitionBytes: 8_388_608,
      planMaxAge: 900_000,
      settle: 30_000,
      poll: { first: 1_000, max: 1_800_000 },
      slotWait: 15_000,
      patience: 3_600_000,
      jobDeadline: 43_200_000,
      sasLifetime: 21_600_000,
      repairRounds: 2,
      maxTwinCalls: 10_000,
      heartbeat: 30_000,
      edgePoll: 5_000,
      visible: 60_000,
    });
  });

  it('keeps what it says', () => {
    const config = load(`${GOOD}temporal: { address: "temporal.example:7233" }
settings: { settle: 250ms, poll: { max: 1d }, repairRounds: 0 }
`);
    expect(config.temporal).toEqual({ address: 'temporal.example:7233', namespace: 'default' });
    expect(config.settings).toMatchObject({
      settle: 250,
      poll: { first: 1_000, max: 86_400_000 },
      repairRounds: 0,
    });
  });

  it('takes every hub setting', () => {
    const config = load(`hubs:
  s: { connectionString: "\${OLD_HUB}", tier: F1, units: 3, maxRecords: 500, role: scratch }
`);
    expect(config.hubs.get('s')).toMatchObject({ tier: 'F1', units: 3, maxRecords: 500, role: 'scratch' });
  });

  it('takes hubs and storage under Microsoft Entra ID, without a secret', () => {
    const user =
      '/subscriptions/0/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i';
    const config = load(`hubs:
  a: { hostName: "A.azure-devices.net.:443", identity: system, readOnly: true }
  b: { hostName: b.azure-devices.cn }
  c: { connectionString: "\${OLD_HUB}", identity: ${user} }
storage: { accountUrl: "https://Acct.blob.core.windows.net/" }
`);
    expect([...config.hubs.values()]).toMatchObject([
      { host: 'a.azure-devices.net', connectionString: null, identity: 'system', readOnly: true },
      { host: 'b.azure-devices.cn', connectionString: null },
      { connectionString: OLD, identity: user },
    ]);
    expect(config.hubs.get('b')).not.toHaveProperty('identity');
    expect(config.storage).toEqual({
      account: 'https://acct.blob.core.windows.net',
      connectionString: null,
    });
  });

  it('takes containers made beforehand; one of a hub counts for all its aliases', () => {
    const config = load(`hubs:
  a: { connectionString: "\${OLD_HUB}", container: jobs-of-old }
  same: { hostName: OLD.azure-devices.net }
  b: { connectionString: "\${NEW_HUB}", container: jobs-of-new }
storage: { connectionString: "\${STORAGE}", container: home }
`);
    expect([...config.hubs.values()].map(({ container }) => container)).toEqual([
      'jobs-of-old',
      'jobs-of-old',
      'jobs-of-new',
    ]);
    const storage = storageOf(config);
    // So that a worker with another container says so, instead of looking in the wrong place.
    expect(storage).toMatchObject({ account: 'https://acct.blob.core.windows.net/home', container: 'home' });
    expect(load(GOOD).hubs.get('old')).not.toHaveProperty('container');
  });

  it('is found by its path, relative to the working directory', () => {
    writeFileSync(join(folder, 'other.yaml'), GOOD);
    expect(loadConfig({ cwd: folder, env, path: 'other.yaml' }).path).toBe(join(folder, 'other.yaml'));
  });

  it('may name one hub twice, and then guards it under both names', () => {
    const config = load(`hubs:
  a: { connectionString: "HostName=HUB.azure-devices.net.:443;SharedAccessKeyName=p;SharedAccessKey=${KEY}" }
  b: { connectionString: "HostName=hub.azure-devices.net;SharedAccessKeyName=p;SharedAccessKey=${KEY}", readOnly: true }
`);
    expect([...config.hubs.values()].map((hub) => [hub.alias, hub.host, hub.readOnly])).toEqual([
      ['a', 'hub.azure-devices.net', true],
      ['b', 'hub.azure-devices.net', true],
    ]);
  });

  it('replaces references anywhere in a value, and does not look into what it put there', () => {
    const config = load(
      `hubs:
  a: { connectionString: "HostName=\${HOST}.net:\${PORT};SharedAccessKeyName=p;SharedAccessKey=${KEY}" }
temporal: { address: "t:1", namespace: "\${RAW}" }
`,
      { env: { HOST: 'x', PORT: '8443', RAW: '${HOST}' } },
    );
    expect(config.hubs.get('a')?.host).toBe('x.net:8443');
    expect(config.temporal?.namespace).toBe('${HOST}');
  });
});

describe('settings.rates', () => {
  it('is all of what is documented, or a part of it', () => {
    expect(load(GOOD).rates).toBe(1);
    expect(load(`${GOOD}settings: { rates: 0.5 }\n`).rates).toBe(0.5);
  });

  it('belongs to the worker: no run is told of it, and no command overrides it', () => {
    const text = `${GOOD}settings: { rates: 0.5 }\n`;
    expect(load(text).settings).toEqual(load(GOOD).settings);
    expect(load(text).hash).not.toBe(load(GOOD).hash);
    expect(load(`${GOOD}settings: { rates: 1 }\n`).hash).toBe(load(GOOD).hash);
    expect(failure(GOOD, { set: ['settings.rates=2'] })).toMatchObject({ code: 'USAGE' });
  });

  it.each(['0', '-1', '1001', 'half', '"0.5"'])('cannot be %s', (value) => {
    const { code, message } = failure(`${GOOD}settings: { rates: ${value} }\n`);
    expect(code).toBe('CONFIG_INVALID');
    expect(message).toMatch(/^hubferry\.yaml:5:\d+: settings\.rates: /);
  });
});

describe('settings.metricsPort', () => {
  const addressOf = (value: string): string | null =>
    load(`${GOOD}settings: { metricsPort: ${value} }\n`).metricsAddress;

  it('is a port of loopback, or an address and a port', () => {
    expect(load(GOOD).metricsAddress).toBeNull();
    expect(addressOf('9464')).toBe('127.0.0.1:9464');
    expect(addressOf('"9464"')).toBe('127.0.0.1:9464');
    expect(addressOf('0.0.0.0:9464')).toBe('0.0.0.0:9464');
    expect(addressOf('"[::1]:9464"')).toBe('[::1]:9464');
  });

  it('belongs to the worker: no run is told of it, and no command overrides it', () => {
    const text = `${GOOD}settings: { metricsPort: 9464 }\n`;
    expect(load(text).settings).toEqual(load(GOOD).settings);
    expect(load(text).hash).not.toBe(load(GOOD).hash);
    expect(failure(GOOD, { set: ['settings.metricsPort=9464'] })).toMatchObject({ code: 'USAGE' });
  });

  it.each(['0', '65536', 'nine', 'localhost:9464', '"0.0.0.0:"', 'true'])('cannot be %s', (value) => {
    const { code, message } = failure(`${GOOD}settings: { metricsPort: ${value} }\n`);
    expect(code).toBe('CONFIG_INVALID');
    expect(message).toMatch(/^hubferry\.yaml:5:\d+: settings\.metricsPort: /);
  });
});

describe('keys', () => {
  const SEAL = Buffer.alloc(32, 7).toString('base64');
  const VAULT = '{ vault: "https://X.vault.azure.net/", secret: hubferry-k2 }';
  const keys = (text: string, keyId?: string): string =>
    `${GOOD}keys: ${text}\n${keyId === undefined ? '' : `settings: { keyId: ${keyId} }\n`}`;
  const withKey = { env: { ...env, SEAL: `${SEAL}\n` } };

  it('are written or in a vault; one of them seals', () => {
    const text = keys(`{ k1: "\${SEAL}", k2: ${VAULT} }`, 'k2');
    const config = load(text, withKey);
    expect(config.keys).toEqual([
      { id: 'k1', key: SEAL },
      { id: 'k2', vault: 'https://x.vault.azure.net', secret: 'hubferry-k2' },
    ]);
    expect(config.keyId).toBe('k2');
    expect(load(keys('{ k1: "${SEAL}" }'), withKey).keyId).toBeNull();
    expect(load(GOOD)).toMatchObject({ keys: [], keyId: null });
  });

  it('are not told to runs, cannot be overridden, and make another worker', () => {
    const one = load(keys('{ k1: "${SEAL}" }', 'k1'), withKey);
    expect(one.settings).toEqual(load(GOOD).settings);
    expect(failure(GOOD, { set: ['settings.keyId=k1'] })).toMatchObject({ code: 'USAGE' });
    const other = { env: { ...env, SEAL: Buffer.alloc(32, 8).toString('base64') } };
    const configs = [
      one,
      load(GOOD),
      load(keys('{ k1: "${SEAL}" }'), withKey),
      load(keys('{ k1: "${SEAL}" }', 'k1'), other),
    ];
    expect(new Set(configs.map(({ hash }) => hash)).size).toBe(configs.length);
    const turned = load(keys(`{ k2: ${VAULT}, k1: "\${SEAL}" }`), withKey);
    expect(turned.hash).toBe(load(keys(`{ k1: "\${SEAL}", k2: ${VAULT} }`), withKey).hash);
  });

  it.each([
    ['of another length', `{ k1: "${KEY}A" }`, 'keys.k1: expected base64 of 32 bytes'],
    [
      'of 31 bytes',
      `{ k1: "${Buffer.alloc(31).toString('base64')}" }`,
      'keys.k1: expected base64 of 32 bytes',
    ],
    ['that is no text', '{ k1: 7 }', 'keys.k1: expected base64 of 32 bytes, or vault and secret'],
    [
      'without its secret',
      '{ k1: { vault: "https://x.net" } }',
      'keys.k1: expected base64 of 32 bytes, or vault and secret',
    ],
    [
      'in a vault over HTTP',
      '{ k1: { vault: "http://x.net", secret: s } }',
      'keys.k1.vault: expected https://NAME.vault.azure.net',
    ],
    [
      'in a vault with a path',
      '{ k1: { vault: "https://x.net/secrets/s", secret: s } }',
      'keys.k1.vault: expected https://NAME.vault.azure.net',
    ],
    [
      'of a secret that is none',
      '{ k1: { vault: "https://x.net", secret: a/b } }',
      'keys.k1.secret: the name of a secret has up to 127 letters, digits and dashes',
    ],
    [
      'under an id that is none',
      `{ "a b": "${SEAL}" }`,
      'keys.a b: a key id has up to 64 letters, digits, dots, dashes and underscores',
    ],
  ])('cannot be one %s', (_name, text, words) => {
    const { code, message } = failure(keys(text));
    expect(code).toBe('CONFIG_INVALID');
    expect(message).toMatch(/^hubferry\.yaml:5:\d+: /);
    expect(message).toContain(words);
    expect(message).not.toContain(SEAL);
  });

  it('cannot have one id twice, and keyId must be one of them', () => {
    expect(failure(keys(`{ k1: "${SEAL}", k1: "${SEAL}" }`))).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(failure(keys(`{ k1: "${SEAL}" }`, 'k2'))).toEqual({
      code: 'CONFIG_INVALID',
      message: 'hubferry.yaml:6:20: settings.keyId: `keys:` has no "k2"; it has k1',
    });
    expect(failure(`${GOOD}settings: { keyId: "${KEY}" }\n`).message).toContain(
      '`keys:` has no "***"; it has none',
    );
  });
});

describe('the hash', () => {
  const hash = (text: string, options: Partial<LoadOptions> = {}): string => load(text, options).hash;

  it('ignores order, spelling and settings, which travel with each run', () => {
    const turned = `storage: { connectionString: "\${STORAGE}" }
hubs:
  new: { connectionString: "\${NEW_HUB}", tier: S1 }
  old: { readOnly: true, connectionString: "${OLD.replace('old.azure', 'OLD.azure')}" }
`;
    expect(hash(turned)).toBe(hash(GOOD));
    expect(hash(GOOD, { set: ['settings.settle=1s'] })).toBe(hash(GOOD));
    expect(hash(`${GOOD}settings: { settle: 1s }\n`)).toBe(hash(GOOD));
    expect(hash(GOOD)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('changes with everything else, keys included', () => {
    const variants = [
      GOOD,
      GOOD.replace('readOnly: true', 'units: 2'),
      `${GOOD}temporal: { address: "t:7233" }\n`,
    ].map((text) => hash(text));
    variants.push(
      hash(GOOD, { env: { ...env, OLD_HUB: OLD.replace('SharedAccessKey=aHV', 'SharedAccessKey=bHV') } }),
    );
    expect(new Set(variants).size).toBe(variants.length);
  });

  it('changes with who a worker would be, where that matters', () => {
    const somebody = { env: { ...env, AZURE_CLIENT_ID: 'a', AZURE_CLIENT_SECRET: 'b' } };
    expect(hash(GOOD, somebody)).toBe(hash(GOOD));
    const entra = 'hubs: { a: { hostName: a.azure-devices.net } }\n';
    expect(hash(entra, somebody)).not.toBe(hash(entra));
    expect(hash(entra, { env: { ...env, IDENTITY_HEADER: '1' } })).not.toBe(hash(entra));
    expect(hash(entra, { env: { ...env, OTHER: '1' } })).toBe(hash(entra));
  });
});

describe('--set', () => {
  it('overrides settings, the last one wins', () => {
    const { settings } = load(`${GOOD}settings: { settle: 5s, chunkLines: 7 }\n`, {
      set: [
        'settings.settle=1s',
        'settings.poll.first=10ms',
        'settings.settle=2s',
        'settings.chunkLines=500',
      ],
    });
    expect(settings).toMatchObject({ settle: 2_000, chunkLines: 500, poll: { first: 10, max: 1_800_000 } });
  });

  it.each([
    ['settings.settle=soon', '--set settings.settle: expected a duration such as 250ms, 30s, 15m, 12h or 1d'],
    ['settings.chunkLines=0', '--set settings.chunkLines: must be at least 1'],
    ['settings.chunkLines=1.5', '--set settings.chunkLines: expected a whole number'],
    ['settings.setle=1s', '--set settings.setle: unknown key'],
    ['settings.poll=1s', '--set settings.poll: expected keys and values'],
  ])('%s is named as what it is', (set, message) => {
    expect(failure(GOOD, { set: [set] })).toEqual({ code: 'CONFIG_INVALID', message });
  });

  it.each([`hubs.old.connectionString=${OLD}`, KEY, 'settings', 'settings.settle', '=', 'settings.=1'])(
    '%s is wrong usage',
    (set) => {
      expect(failure(GOOD, { set: [set] }).code).toBe('USAGE');
    },
  );
});

describe('an error names file, line, column and path', () => {
  const hubs = (rest: string): string => `hubs:\n  old: { connectionString: "\${OLD_HUB}"${rest} }\n`;

  it.each([
    ['an unknown key', `${GOOD}storrage: 1\n`, 'hubferry.yaml:5:1: storrage: unknown key'],
    [
      'an unknown key in a hub',
      hubs(', readonly: true'),
      'hubferry.yaml:2:42: hubs.old.readonly: unknown key',
    ],
    ['a wrong type', hubs(', units: "2"'), 'hubferry.yaml:2:49: hubs.old.units: expected a whole number'],
    [
      'a wrong yes',
      hubs(', readOnly: "yes"'),
      'hubferry.yaml:2:52: hubs.old.readOnly: expected true or false',
    ],
    ['too few', hubs(', units: 0'), 'hubferry.yaml:2:49: hubs.old.units: must be at least 1'],
    ['too many', hubs(', units: 201'), 'hubferry.yaml:2:49: hubs.old.units: must be at most 200'],
    [
      'a wrong word',
      hubs(', tier: S4'),
      'hubferry.yaml:2:48: hubs.old.tier: expected F1, B1, B2, B3, S1, S2, S3',
    ],
    ['a wrong role', hubs(', role: prod'), 'hubferry.yaml:2:48: hubs.old.role: expected scratch'],
    [
      'a number for a duration',
      `${GOOD}settings:\n  settle: 30\n`,
      'hubferry.yaml:6:11: settings.settle: expected a text',
    ],
    [
      'a bad duration',
      `${GOOD}settings:\n  poll:\n    first: 2 s\n`,
      'hubferry.yaml:7:12: settings.poll.first: expected a duration such as 250ms, 30s, 15m, 12h or 1d',
    ],
    ['no hubs', 'settings: {}\n', 'hubferry.yaml:1:1: hubs: this key is missing'],
    ['nothing', '', 'hubferry.yaml:1:1: hubs: this key is missing'],
    ['a list', '- 1\n', 'hubferry.yaml:1:1: expected keys and values'],
    [
      'a hub that is a text',
      'hubs:\n  old: "${OLD_HUB}"\n',
      'hubferry.yaml:2:8: hubs.old: expected keys and values',
    ],
    [
      'a bad alias',
      'hubs:\n  "a:b": { connectionString: "${OLD_HUB}" }\n',
      'hubferry.yaml:2:3: hubs.a:b: an alias has up to 64 letters, digits, dots, dashes and underscores',
    ],
    [
      'no connection string',
      'hubs:\n  old:\n    readOnly: true\n',
      'hubferry.yaml:2:3: hubs.old: connectionString or hostName is missing',
    ],
    [
      'a hub with both',
      'hubs:\n  old: { connectionString: "${OLD_HUB}", hostName: x.azure-devices.net }\n',
      'hubferry.yaml:2:52: hubs.old.hostName: there is connectionString already; leave one of them out',
    ],
    [
      'a host that is none',
      'hubs:\n  old: { hostName: "${OLD_HUB}" }\n',
      'hubferry.yaml:2:20: hubs.old.hostName: expected a host name such as x.azure-devices.net',
    ],
    [
      'an identity that is none',
      'hubs:\n  old: { hostName: x.azure-devices.net, identity: user }\n',
      'hubferry.yaml:2:51: hubs.old.identity: expected system, or the resource id of a user-assigned identity (/subscriptions/…)',
    ],
    [
      'a bad address',
      `${GOOD}temporal: { address: nowhere }\n`,
      'hubferry.yaml:5:22: temporal.address: expected host:port',
    ],
    [
      'storage with both',
      'hubs: {}\nstorage: { connectionString: "${STORAGE}", accountUrl: "https://x.blob.core.windows.net" }\n',
      'hubferry.yaml:2:56: storage.accountUrl: there is connectionString already; leave one of them out',
    ],
    [
      'storage with neither',
      'hubs: {}\nstorage: {}\n',
      'hubferry.yaml:2:1: storage: connectionString or accountUrl is missing',
    ],
    [
      'storage without TLS',
      'hubs: {}\nstorage: { accountUrl: "http://x.blob.core.windows.net" }\n',
      'hubferry.yaml:2:24: storage.accountUrl: this is not https',
    ],
    [
      'storage with a SAS',
      'hubs: {}\nstorage: { accountUrl: "https://x.blob.core.windows.net?sv=1&sig=abc" }\n',
      'hubferry.yaml:2:24: storage.accountUrl: this holds more than an address',
    ],
    ['a key twice', 'hubs: {}\nhubs: {}\n', 'hubferry.yaml:2:1: this key is there twice (DUPLICATE_KEY)'],
    ['a tab', 'hubs:\n\told: {}\n', 'hubferry.yaml:2:1: tabs cannot be used for indentation (TAB_AS_INDENT)'],
    [
      'an open quote',
      `hubs:\n  old: { connectionString: "${OLD} }\n`,
      expect.stringMatching(
        /^hubferry\.yaml:3:1: a quote, bracket, comma or space is missing \(MISSING_CHAR\)$/,
      ),
    ],
    [
      'a reference without its end',
      'hubs:\n  old: { connectionString: "${OLD_HUB" }\n',
      'hubferry.yaml:2:28: hubs.old.connectionString: "${" without its "}"',
    ],
    [
      'a reference that is none',
      `hubs:\n  old: { connectionString: "\${${KEY}}" }\n`,
      'hubferry.yaml:2:28: hubs.old.connectionString: "${…}" holds something that is not the name of an environment variable',
    ],
  ])('%s', (_name, text, message) => {
    expect(failure(text)).toEqual({ code: 'CONFIG_INVALID', message });
  });

  it.each([
    [
      'no name of a container',
      'container: Jobs_1',
      'hubferry.yaml:2:53: hubs.old.container: the name of a container has 3 to 63 lower-case letters and digits, and single dashes between them',
    ],
    [
      'the name of one that hubferry makes',
      'container: hf-jobs',
      'hubferry.yaml:2:53: hubs.old.container: hubferry makes containers named hubferry and hf-… itself; take another name',
    ],
    [
      'the container of another hub',
      'container: jobs-of-new',
      'hubferry.yaml:3:53: hubs.new.container: this is the container of old, too; every hub needs its own',
    ],
    [
      'the container that all else is kept in',
      'container: home',
      'hubferry.yaml:2:53: hubs.old.container: this is storage.container; a hub must not open what is kept there',
    ],
    [
      'none, where all else has one',
      'readOnly: true',
      'hubferry.yaml:2:3: hubs.old.container: this key is missing; with storage.container, every hub needs a container of its own',
    ],
    [
      'another one under another alias',
      'container: jobs-1 }\n  same: { connectionString: "${OLD_HUB}", container: jobs-2',
      'hubferry.yaml:3:54: hubs.same.container: old.azure-devices.net has another container under another alias; give it one',
    ],
  ])('%s for the jobs of a hub', (_name, member, message) => {
    const text = `hubs:
  old: { connectionString: "\${OLD_HUB}", ${member} }
  new: { connectionString: "\${NEW_HUB}", container: jobs-of-new }
storage: { connectionString: "\${STORAGE}", container: home }
`;
    expect(failure(text)).toEqual({ code: 'CONFIG_INVALID', message });
  });

  it('lists all faults in the order of the file', () => {
    const { message } = failure(`hubs:
  old: { hostname: x.azure-devices.net }
settings: { settle: 1, chunkLines: no }
`);
    expect(message.split('\n')).toEqual([
      'hubferry.yaml:2:3: hubs.old: connectionString or hostName is missing',
      'hubferry.yaml:2:10: hubs.old.hostname: unknown key',
      'hubferry.yaml:3:21: settings.settle: expected a text',
      'hubferry.yaml:3:36: settings.chunkLines: expected a whole number',
    ]);
  });

  it('an unset variable', () => {
    expect(failure(GOOD, { env: { OLD_HUB: OLD } })).toEqual({
      code: 'ENV_NOT_SET',
      message: 'hubferry.yaml:3:28: hubs.new.connectionString: environment variable NEW_HUB is not set',
    });
  });

  it.each([
    ['an unknown key', `${GOOD}? "${OLD}"\n: 1\n`],
    ['an alias', `hubs:\n  ? "${OLD}"\n  : { connectionString: "\${OLD_HUB}" }\n`],
    ['an unknown key of a hub', `hubs:\n  old: { "${KEY}": 1, connectionString: "\${OLD_HUB}" }\n`],
    ['a key above an unset variable', `hubs:\n  "${KEY}": { connectionString: "\${NOT_SET}" }\n`],
  ])('a secret in the place of a name is masked: %s', (_name, text) => {
    expect(failure(text).message).toContain('***');
  });

  it('a bomb of aliases', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nhubs: [*c,*c,*c]\n`;
    expect(failure(bomb)).toEqual({
      code: 'CONFIG_INVALID',
      message: 'hubferry.yaml: its aliases (*) cannot be resolved',
    });
  });

  it('no file', () => {
    expect(() => loadConfig({ cwd: folder, env })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_NOT_FOUND',
        message: `there is no ${join(folder, 'hubferry.yaml')}`,
      }),
    );
    expect(() => loadConfig({ cwd: folder, env, path: '.' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_NOT_FOUND', message: `${folder} cannot be read (EISDIR)` }),
    );
  });
});

describe('a connection string', () => {
  const hub = (text: string): { code: string; message: string } =>
    failure('hubs:\n  old: { connectionString: "${OLD_HUB}" }\n', { env: { OLD_HUB: text } });
  const hubPlace = 'hubferry.yaml:2:28: hubs.old.connectionString';

  it.each([
    ['', 'it is empty'],
    [KEY, 'HostName is missing'],
    ['just words', 'one of its parts is not Name=value'],
    [`SharedAccessKeyName=p;SharedAccessKey=${KEY}`, 'HostName is missing'],
    [`HostName=a.net;SharedAccessKey=${KEY}`, 'SharedAccessKeyName is missing'],
    ['HostName=a.net;SharedAccessKeyName=p', 'SharedAccessKey is missing'],
    ['HostName=a.net;SharedAccessKeyName=p;SharedAccessKey=', 'SharedAccessKey is missing'],
    ['HostName=a.net;SharedAccessKeyName=p;SharedAccessKey=not!base64', 'SharedAccessKey is not base64'],
    [
      `HostName=https://a.net;SharedAccessKeyName=p;SharedAccessKey=${KEY}`,
      'HostName is not a host name, or host name and port',
    ],
    [
      `HostName=a.net:99999;SharedAccessKeyName=p;SharedAccessKey=${KEY}`,
      'HostName is not a host name, or host name and port',
    ],
    [
      `HostName=a.net;HostName=b.net;SharedAccessKeyName=p;SharedAccessKey=${KEY}`,
      'one of its parts is there twice',
    ],
    [
      `HostName=a.net;DeviceId=d;SharedAccessKey=${KEY}`,
      'it is the connection string of a device, not of a hub’s policy',
    ],
  ])('of a hub: %s', (text, words) => {
    expect(hub(text)).toEqual({ code: 'CONNECTION_STRING_INVALID', message: `${hubPlace}: ${words}` });
  });

  it.each([
    ['AccountName=a', 'AccountKey is missing'],
    [`AccountKey=${KEY}`, 'AccountName is missing'],
    ['AccountName=a;AccountKey=!', 'AccountKey is not base64'],
    [`AccountName=a;AccountKey=${KEY};BlobEndpoint=nowhere`, 'BlobEndpoint is not a URL'],
    [`AccountName=a;AccountKey=${KEY};BlobEndpoint=ftp://x`, 'BlobEndpoint is neither https nor http'],
    [
      `AccountName=a;AccountKey=${KEY};BlobEndpoint=https://x/?sig=${KEY}`,
      'BlobEndpoint holds more than an address',
    ],
    [
      `AccountName=a;AccountKey=${KEY};DefaultEndpointsProtocol=ftp`,
      'DefaultEndpointsProtocol is neither https nor http',
    ],
    [
      `BlobEndpoint=https://x;SharedAccessSignature=sv=1&sig=${KEY}`,
      'it holds a SharedAccessSignature; hubferry signs access for the hubs’ jobs, for which it needs AccountKey',
    ],
    [
      'UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://x',
      'DevelopmentStorageProxyUri is not supported; write BlobEndpoint instead',
    ],
  ])('of storage: %s', (text, words) => {
    expect(
      failure('hubs: {}\nstorage: { connectionString: "${STORAGE}" }\n', { env: { STORAGE: text } }),
    ).toEqual({
      code: 'CONNECTION_STRING_INVALID',
      message: `hubferry.yaml:2:30: storage.connectionString: ${words}`,
    });
  });

  it.each([
    ['UseDevelopmentStorage=true', 'http://127.0.0.1:10000/devstoreaccount1'],
    ['usedevelopmentstorage=True;', 'http://127.0.0.1:10000/devstoreaccount1'],
    [`AccountName=acct;AccountKey=${KEY}`, 'https://acct.blob.core.windows.net'],
    [
      `AccountName=acct;AccountKey=${KEY};EndpointSuffix=core.chinacloudapi.cn`,
      'https://acct.blob.core.chinacloudapi.cn',
    ],
    [
      `DefaultEndpointsProtocol=http;AccountName=d;AccountKey=${KEY};BlobEndpoint=HTTP://LocalHost:10000/d/;`,
      'http://localhost:10000/d',
    ],
    [`AccountName=d;AccountKey=${KEY};BlobEndpoint=https://x.example:443/`, 'https://x.example'],
  ])('of storage is understood: %s', (text, account) => {
    const { storage } = load('hubs: {}\nstorage: { connectionString: "${STORAGE}" }\n', {
      env: { STORAGE: text },
    });
    expect(storage?.account).toBe(account);
  });
});

describe('looking up', () => {
  it('a hub by its alias', () => {
    const config = load(GOOD);
    expect(hubOf(config, 'new').host).toBe('new.azure-devices.net');
    expect(() => hubOf(config, 'nwe')).toThrow(
      expect.objectContaining({
        code: 'HUB_UNKNOWN',
        message: `${config.path} has no hub "nwe"; it has old, new`,
      }),
    );
    expect(() => hubOf(load('hubs: {}\n'), 'a')).toThrow(/it has none$/);
    expect(() => hubOf(config, OLD)).toThrow(/has no hub "HostName=[^"]*SharedAccessKey=\*\*\*"/);
  });

  it('the storage', () => {
    expect(storageOf(load(GOOD)).account).toBe('https://acct.blob.core.windows.net');
    expect(() => storageOf(load('hubs: {}\n'))).toThrow(expect.objectContaining({ code: 'STORAGE_MISSING' }));
  });
});
