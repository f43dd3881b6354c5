import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { openScene, type Scene } from './scene.js';

const PATIENCE = 60_000;

/** The hub of this name is nowhere: port 1 of loopback answers nobody. */
const NOWHERE = 'HostName=localhost:1;SharedAccessKeyName=iothubowner;SharedAccessKey=bm93aGVyZQ==';
/** A hub in the cloud, which is never asked. */
const FAR = 'HostName=far.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=ZmFy';

/** Typed in a wrong place. */
const MISPLACED = 'HostName=x;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0LWtleS1oZXJl';

let scene: Scene;
beforeAll(async () => {
  scene = await openScene({
    hubs: [{ name: 'old' }, { name: 'new' }, { name: 'small' }, { name: 'locked' }],
    configure: (text, { simulator }) => {
      const locked = simulator.hub('locked').connectionString();
      return text
        .replace(/^( {2}small: \{.*) \}$/m, '$1, maxRecords: 30 }')
        .replace(JSON.stringify(locked), JSON.stringify(withOtherKey(locked)))
        .replace('hubs:\n', `hubs:\n  nowhere: { connectionString: "${NOWHERE}" }\n`);
    },
  });
}, 180_000);
afterAll(() => scene.close());
beforeEach(() => scene.reset());

const withOtherKey = (connection: string): string =>
  connection.replace(/SharedAccessKey=.*$/, `SharedAccessKey=${Buffer.alloc(32, 7).toString('base64')}`);

const quoted = (name: string): string => JSON.stringify(scene.hub(name).connectionString());

/** A configuration of its own for one command; nothing of it reaches the worker. */
function configuration({ hubs, storage, more = '' }: { hubs?: string; storage?: string; more?: string }) {
  const entries =
    hubs ?? `old: { connectionString: ${quoted('old')} }\n  new: { connectionString: ${quoted('new')} }`;
  const account = scene.stand.azurite.connectionString;
  return [
    `hubs:\n  ${entries}`,
    storage ?? `storage: { connectionString: ${JSON.stringify(account)} }`,
    `temporal: { address: "${scene.stand.temporal.address}" }`,
    more,
    '',
  ].join('\n');
}

describe('seen without a network call: exit 2, and no hub was asked', () => {
  interface Case {
    readonly what: string;
    readonly text: () => string;
    readonly args?: readonly string[];
    readonly code: string;
    readonly says: RegExp;
  }
  const hubs = (target: () => string) => () =>
    configuration({ hubs: `old: { connectionString: ${quoted('old')} }\n  ${target()}` });

  const cases: readonly Case[] = [
    {
      what: 'not YAML',
      text: () => 'hubs: [',
      code: 'CONFIG_INVALID',
      says: /case\.yaml:1/,
    },
    {
      what: 'an unknown key',
      text: () => configuration({ more: 'settings: { chunkLine: 5 }' }),
      code: 'CONFIG_INVALID',
      says: /case\.yaml:6:\d+.*settings.*chunkLine/s,
    },
    {
      what: 'a wrong type',
      text: () => configuration({ more: 'settings: { chunkLines: many }' }),
      code: 'CONFIG_INVALID',
      says: /case\.yaml:6:\d+.*settings\.chunkLines/s,
    },
    {
      what: 'an unset variable',
      text: hubs(() => `new: { connectionString: "\${HUBFERRY_TEST_UNSET}" }`),
      code: 'ENV_NOT_SET',
      says: /case\.yaml:3:\d+.*HUBFERRY_TEST_UNSET/s,
    },
    {
      what: 'a broken connection string',
      text: hubs(() => 'new: { connectionString: "HostName=x;SharedAccessKey=c2VjcmV0LWtleS1oZXJl" }'),
      code: 'CONNECTION_STRING_INVALID',
      says: /case\.yaml:3:\d+.*SharedAccessKeyName/s,
    },
    {
      what: 'an unknown hub',
      text: () => configuration({}),
      args: ['migrate', 'old', 'newer'],
      code: 'HUB_UNKNOWN',
      says: /no hub "newer"; it has old, new/,
    },
    {
      what: 'a connection string in place of an alias',
      text: () => configuration({}),
      args: ['migrate', MISPLACED, 'new'],
      code: 'HUB_UNKNOWN',
      says: /no hub "HostName=x;.*SharedAccessKey=\*\*\*/,
    },
    {
      what: 'a connection string as an alias in the file',
      text: () => configuration({ hubs: `"${MISPLACED}": { readOnly: true }` }),
      code: 'CONFIG_INVALID',
      says: /case\.yaml:2:\d+: hubs\.HostName=x;.*SharedAccessKey=\*\*\*/,
    },
    {
      what: 'a connection string as a key',
      text: () => configuration({ more: `"${MISPLACED}": 1` }),
      code: 'CONFIG_INVALID',
      says: /case\.yaml:6:\d+: HostName=x;.*SharedAccessKey=\*\*\*/,
    },
    {
      what: 'a connection string in place of a setting',
      text: () => configuration({}),
      args: ['migrate', 'old', 'new', '--set', MISPLACED],
      code: 'USAGE',
      says: /--set/,
    },
    {
      what: 'a connection string in place of a run',
      text: () => configuration({}),
      args: ['status', MISPLACED],
      code: 'USAGE',
      says: /SharedAccessKey=\*\*\*" names no run/,
    },
    {
      what: 'a connection string in place of a choice',
      text: () => configuration({}),
      args: ['migrate', 'old', 'new', '--existing', MISPLACED],
      code: 'USAGE',
      says: /--existing/,
    },
    {
      what: 'a file of rules that is not there',
      text: () => configuration({}),
      args: ['plan', 'old', 'new', '--rules', 'none.yaml'],
      code: 'RULE_INVALID',
      says: /none\.yaml: there is no such file/,
    },
    {
      what: 'a policy for orphans without rules',
      text: () => configuration({}),
      args: ['verify', 'old', 'new', '--orphans', 'detach'],
      code: 'USAGE',
      says: /--rules/,
    },
    {
      what: 'source equal to target',
      text: () => configuration({}),
      args: ['migrate', 'old', 'old'],
      code: 'SAME_HUB',
      says: /old and old are the same hub/,
    },
    {
      what: 'source equal to target under two names and spellings',
      text: hubs(
        () => `new: { connectionString: ${quoted('old').replace('old.localhost', 'OLD.LocalHost')} }`,
      ),
      code: 'SAME_HUB',
      says: /old and new are the same hub, old\.localhost:\d+/,
    },
    {
      what: 'a target that is readOnly',
      text: hubs(() => `new: { connectionString: ${quoted('new')}, readOnly: true }`),
      code: 'HUB_READ_ONLY',
      says: /new/,
    },
    {
      what: 'a drill to a hub that is no scratch hub',
      text: () => configuration({}),
      args: ['drill', 'old', 'new'],
      code: 'HUB_NOT_SCRATCH',
      says: /new \(new\.localhost:\d+\) is not declared `role: scratch`/,
    },
    {
      what: 'a drill of a scratch hub',
      text: () => {
        const [old, other] = ['old', 'new'].map(
          (name) => `{ connectionString: ${quoted(name)}, role: scratch }`,
        );
        return configuration({ hubs: `old: ${old}\n  new: ${other}` });
      },
      args: ['drill', 'old', 'new'],
      code: 'HUB_NOT_SCRATCH',
      says: /old \(old\.localhost:\d+\) is declared `role: scratch`.*no source/,
    },
    {
      what: 'no storage',
      text: () => configuration({ storage: '# none' }),
      code: 'STORAGE_MISSING',
      says: /no `storage:`/,
    },
    {
      what: 'storage on loopback while a hub is not',
      text: hubs(() => `new: { connectionString: "${FAR}" }`),
      code: 'STORAGE_NOT_REACHABLE_BY_HUB',
      says: /far\.azure-devices\.net cannot reach the storage account http:\/\/127\.0\.0\.1/,
    },
  ];

  it.each(cases)(
    '$what is $code',
    async ({ text, args = ['migrate', 'old', 'new'], code, says }) => {
      const file = scene.config('case.yaml', text());
      const { code: exit, report, stderr } = await scene.json(...args, '--config', file);
      expect({ exit, code: report.error?.code, outcome: report.outcome, run: report.run ?? null }).toEqual({
        exit: 2,
        code,
        outcome: 'failed',
        run: null,
      });
      expect(report.error?.message).toMatch(says);
      expect(report.error?.hint).toMatch(/\w/);
      expect(stderr).toMatch(new RegExp(`${code}|^error: `));
      expect(stderr + JSON.stringify(report)).not.toContain('c2VjcmV0');
      for (const name of ['old', 'new']) expect(scene.hub(name).counts()).toEqual({});
    },
    PATIENCE,
  );

  it('no configuration file is CONFIG_NOT_FOUND', async () => {
    const { code, report } = await scene.json('plan', 'old', 'new', '--config', 'none.yaml');
    expect({ code, error: report.error?.code }).toEqual({ code: 2, error: 'CONFIG_NOT_FOUND' });
  });
});

describe('seen before the first write: exit 1, and nothing was written', () => {
  const fails = async (args: readonly string[], code: string, says: RegExp): Promise<void> => {
    const { code: exit, report, stderr } = await scene.json(...args);
    expect({ exit, code: report.error?.code, outcome: report.outcome }).toEqual({
      exit: 1,
      code,
      outcome: 'failed',
    });
    expect(report.error?.message).toMatch(says);
    expect(report.error?.hint).toMatch(/\w/);
    expect(stderr + JSON.stringify(report)).not.toContain(Buffer.alloc(32, 7).toString('base64'));
    scene.expectUnwritten();
  };
  const load = (name: string, devices: number): void =>
    void scene.hub(name).load(generateFleet({ devices, seed: 3, plain: true }));

  it(
    'a wrong key, with the hub and the policy it is of',
    () =>
      fails(
        ['migrate', 'old', 'locked'],
        'HUB_UNAUTHORIZED',
        /locked\.localhost:\d+.*iothubowner|iothubowner.*locked\.localhost:\d+/,
      ),
    PATIENCE,
  );

  it(
    'a host that cannot be reached',
    () => fails(['migrate', 'nowhere', 'new'], 'HUB_UNREACHABLE', /localhost:1\b/),
    PATIENCE,
  );

  it(
    'a target without room',
    async () => {
      load('old', 31);
      await fails(
        ['migrate', 'old', 'small'],
        'TARGET_FULL',
        /small\.localhost:\d+ holds 0 records and takes 30; 31 more do not fit/,
      );
    },
    PATIENCE,
  );

  it(
    'differing records under --existing fail',
    async () => {
      load('old', 20);
      load('new', 20);
      const [first] = scene.hub('old').dump();
      if (first === undefined) throw new Error('there is no record');
      scene.hub('new').load([{ ...first, tags: { changed: true } }]);
      await fails(
        ['migrate', 'old', 'new'],
        'TARGET_DIFFERS',
        /^Records of new\.localhost:\d+ that differ from the source: 1, such as device-000001\./,
      );
    },
    PATIENCE,
  );

  it.each([
    [
      'not JSON',
      'SNAPSHOT_LINE_NOT_JSON',
      ['{"id":"a","status":}'],
      /at byte 63: .*not JSON, from character 20/,
    ],
    ['without an id', 'SNAPSHOT_LINE_NO_ID', ['{"status":"enabled"}'], /at byte 63: .*no device id/],
    [
      'that repeats a record',
      'SNAPSHOT_DUPLICATE',
      ['{"id":"good","status":"enabled"}'],
      /"good" stands twice/,
    ],
    ['with a field of a wrong kind', 'SNAPSHOT_LINE_BAD_FIELD', ['{"id":"a","status":7}'], /line of "a"/],
    ['that is cut short', 'SNAPSHOT_CUT', '{"id":"a","status":"ena', /at byte 63: The line/],
  ] as const)(
    'a snapshot with a line %s',
    async (_what, code, lines, says) => {
      const good = '{"id":"good","status":"enabled","tags":{"here":"a good line"}}';
      const text = typeof lines === 'string' ? `${good}\n${lines}` : [good, ...lines, ''].join('\n');
      await fails(['migrate', `snapshot:${await plant(text)}`, 'new'], code, says);
    },
    PATIENCE,
  );

  it(
    'a snapshot that was changed since it was taken',
    async () => {
      const id = await plant('{"id":"good","status":"enabled"}\n');
      await scene.storage.writeText(id, 'devices.txt', '{"id":"other","status":"enabled"}\n');
      await fails(['migrate', `snapshot:${id}`, 'new'], 'SNAPSHOT_DAMAGED', new RegExp(id));
    },
    PATIENCE,
  );

  it(
    'a snapshot that is not there',
    () => fails(['migrate', 'snapshot:hf-none', 'new'], 'SNAPSHOT_NOT_FOUND', /hf-none/),
    PATIENCE,
  );
});

let planted = 0;

/** Stores a snapshot whose manifest vouches for this text. @returns its id. */
async function plant(text: string): Promise<string> {
  const id = `hf-planted-${++planted}`;
  await scene.storage.createContainer(id);
  await scene.storage.writeText(id, 'devices.txt', text);
  await scene.storage.writeText(id, 'edges.ndjson', '');
  const manifest = {
    id,
    host: 'old.localhost',
    taken: new Date().toISOString(),
    bytes: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
    keys: true,
    records: 2,
    devices: 2,
    modules: 0,
    systemModules: 0,
    edges: 0,
    longLines: 0,
  };
  await scene.storage.writeText(id, 'manifest.json', JSON.stringify(manifest));
  return id;
}
