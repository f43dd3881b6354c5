import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import type { RunReport } from '../../workflows/messages.js';
import { emptyReport, hubQueueIdOf } from '../../workflows/messages.js';
import { essence, writesOf } from '../support/stand.js';
import { until } from '../support/until.js';
import { openScene, type Scene } from './scene.js';

const PATIENCE = 60_000;

let scene: Scene;
beforeAll(async () => {
  scene = await openScene({
    hubs: [{ name: 'old', ownPort: 0 }, { name: 'new', ownPort: 0 }, { name: 'spare' }, { name: 'scratch' }],
    // The same two hubs once more, as localhost with a port of their own.
    configure: (text, { simulator }) => {
      const byPort = ['old', 'new'].map((name) => {
        const connection = simulator.hub(name).connectionString('iothubowner', true);
        return `  ${name}-by-port: { connectionString: ${JSON.stringify(connection)} }\n`;
      });
      return text
        .replace('hubs:\n', `hubs:\n${byPort.join('')}`)
        .replace(/( {2}scratch: \{.*) \}/, '$1, role: scratch }');
    },
  });
}, 180_000);
afterAll(() => scene.close());
beforeEach(() => scene.reset());

const load = (devices: number, seed = 1): void =>
  void scene.hub('old').load(generateFleet({ devices, seed, edgeShare: 0.05 }));

/** Every record of one hub is on another, and nothing else. */
const equal = (one: string, other: string): void =>
  expect(essence(scene.hub(other).dump())).toEqual(essence(scene.hub(one).dump()));

describe('a first migration, as the README tells it', () => {
  it(
    'check, plan, migrate, again, verify, list, status',
    async () => {
      load(120);

      const check = await scene.hubferry('check', 'old', 'new');
      expect(check).toMatchObject({ code: 0, stderr: '' });
      expect(check.stdout).not.toContain('FAILED');
      for (const said of ['old.localhost', 'new.localhost', 'configurations', 'run jobs', 'write devices'])
        expect(check.stdout).toContain(said);
      // Its probes are writes that cannot do anything.
      for (const name of ['old', 'new']) scene.hub(name).resetCounters();

      const plan = await scene.json('plan', 'old', 'new');
      expect(plan.code).toBe(0);
      expect(plan.report).toMatchObject({
        workflow: 'plan',
        outcome: 'planned',
        ledger: { desired: 120, create: 120, applied: 0, unsent: 120 },
        error: null,
      });
      scene.expectUnwritten();
      const foreseen = plan.report.work?.waves.reduce((sum, { jobs }) => sum + jobs, 0);

      const migrated = await scene.json('migrate', 'old', 'new');
      expect(migrated.code).toBe(0);
      const { report } = migrated;
      expect(report).toMatchObject({
        workflow: 'migrate',
        outcome: 'verified',
        plan: plan.report.plan,
        ledger: { create: 120, applied: 120, rejected: 0, uncertain: 0, unsent: 0 },
        verify: { compared: 120, match: 120, different: 0, missing: 0, extra: 0 },
      });
      const phases = ['preflight', 'snapshot', 'transform', 'plan', 'apply', 'settle', 'verify', 'report'];
      expect([...new Set(report.stages?.map(({ phase }) => phase))]).toEqual(phases);
      const times = report.jobs.map(({ started = '' }) => Date.parse(started));
      expect(times.every((time) => time > Date.parse(report.started))).toBe(true);
      expect(report.jobs.at(-1)).toMatchObject({ type: 'export', lines: report.ledger.source });
      expect(migrated.stderr).toMatch(/^run \S+\n/);
      expect(migrated.stderr).toMatch(/^verify {5}done in /m);
      equal('old', 'new');

      const imports = report.jobs.filter(({ type }) => type === 'import').length;
      expect(imports).toBe(foreseen);
      const again = await scene.hubferry('migrate', 'old', 'new');
      expect(again.code).toBe(0);
      expect(again.stdout).toContain('verified: every record arrived, compared field by field');
      expect(again.stdout).toMatch(/planned\s+0 = applied 0/);
      const created = scene.hub('new').jobs.list();
      expect(created.filter(({ type }) => type === 'import')).toHaveLength(imports);

      const verified = await scene.json('verify', 'old', 'new');
      expect(verified).toMatchObject({ code: 0, report: { workflow: 'verify', outcome: 'verified' } });

      const list = await scene.hubferry('list', '--json');
      const runs = JSON.parse(list.stdout) as RunReport[];
      expect(runs.map(({ workflow, outcome }) => `${workflow} ${outcome}`)).toEqual([
        'verify verified',
        'migrate verified',
        'migrate verified',
        'plan planned',
      ]);
      const table = await scene.hubferry('list');
      expect(table.stdout.split('\n')[0]).toMatch(/^RUN +VERB +OUTCOME +TIME/);
      expect(table.stdout).toContain(report.run);

      const status = await scene.json('status', report.run);
      expect(status).toMatchObject({ code: 0, report });

      expect(await scene.hubferry('gc')).toMatchObject({ code: 0, stdout: 'Nothing is left behind.\n' });

      const saved = await scene.json('report', report.run, '--out', 'reports');
      const [json, html] = ['json', 'html'].map((kind) => `reports/${report.run}.report.${kind}`);
      expect(saved).toMatchObject({ code: 0, report: { ...report, files: { json, html } } });
      const [text = '', page = ''] = [json, html].map((file) => {
        const path = join(scene.stand.folder, file ?? '');
        expect(statSync(path).mode & 0o777).toBe(0o600);
        return readFileSync(path, 'utf8');
      });
      const server = expect.stringMatching(/^\d+\.\d+/) as unknown;
      expect(JSON.parse(text)).toMatchObject({ ...report, versions: { server } });
      expect(page).toContain('Every record arrived, compared field by field.');
      const stored = await scene.storage.readText('hubferry', `reports/${report.run}.html`);
      expect(stored).toBe(page);
    },
    PATIENCE * 2,
  );
});

describe('migrate', () => {
  it(
    'works with HostName=localhost:PORT, whatever the hub calls itself, and a second time writes nothing',
    async () => {
      load(40);
      const { code, report } = await scene.json('migrate', 'old-by-port', 'new-by-port');
      expect({ code, outcome: report.outcome, error: report.error }).toEqual({
        code: 0,
        outcome: 'verified',
        error: null,
      });
      expect(report.target).toMatch(/^localhost:\d+$/);
      equal('old', 'new');
      scene.hub('new').resetCounters();
      const before = scene.hub('new').jobs.list().length;
      expect((await scene.json('migrate', 'old-by-port', 'new-by-port')).code).toBe(0);
      const created = scene.hub('new').jobs.list().slice(0, -before);
      expect(created.map(({ type }) => type)).toEqual(['export']);
    },
    PATIENCE,
  );

  it(
    'restores a snapshot into another hub',
    async () => {
      load(40);
      const taken = await scene.json('snapshot', 'old');
      expect(taken).toMatchObject({ code: 0, report: { outcome: 'done', ledger: { desired: 40 } } });
      const id = taken.report.snapshots.source ?? '';
      const before = essence(scene.hub('old').dump());
      scene.hub('old').clear();
      const { code, report } = await scene.json('migrate', `snapshot:${id}`, 'spare');
      expect({ code, source: report.source }).toEqual({ code: 0, source: `snapshot:${id}` });
      expect(essence(scene.hub('spare').dump())).toEqual(before);
    },
    PATIENCE,
  );

  it(
    'is undone by rollback, which asks first',
    async () => {
      scene.hub('old').load(generateFleet({ devices: 30, seed: 2, plain: true }));
      const { report } = await scene.json('migrate', 'old', 'new');
      const asked = await scene.hubferry('rollback', report.run);
      expect(asked).toMatchObject({ code: 2, stdout: '' });
      expect(asked.stderr).toContain('rollback asks first; without a terminal it needs --yes');
      const undone = await scene.hubferry('rollback', report.run, '--yes');
      expect(undone.code).toBe(0);
      expect(undone.stdout).toContain(`run:${report.run}`);
      expect(undone.stdout).toMatch(/planned +30 = applied 30/);
      expect(essence(scene.hub('new').dump())).toEqual({});
      const plan = await scene.json('plan', 'old', 'new');
      const { code, report: refused } = await scene.json('rollback', plan.report.run, '--yes');
      expect({ code, error: refused.error?.code }).toEqual({ code: 1, error: 'RUN_NOT_UNDOABLE' });
    },
    PATIENCE * 2,
  );

  it(
    'carries out a plan that was seen, by its id or by approval',
    async () => {
      scene.hub('old').load(generateFleet({ devices: 30, seed: 2, plain: true }));
      const seen = await scene.hubferry('plan', 'old', 'new');
      expect(seen.stdout).toMatch(/ {2}changes +create +update +delete\n {4}devices +30 +0 +0/);
      expect(seen.stdout).toMatch(/ {2}such as\n {4}create device \S+\n {6}status: enabled/);
      const id = /^ {2}plan ([\da-f]{16})$/m.exec(seen.stdout)?.[1] ?? '';

      scene.hub('old').load([{ deviceId: 'later' }]);
      const parked = await scene.hubferry('migrate', 'old', 'new', '--plan', id, '--approve');
      expect(parked.code).toBe(3);
      const run = /^run (\S+)/m.exec(parked.stdout)?.[1] ?? '';
      expect(parked.stdout).toContain(`to go on: hubferry approve ${run} ${id}`);
      scene.expectUnwritten();
      const status = await scene.json('status', run);
      expect(status).toMatchObject({ code: 0, report: { outcome: 'parked' } });
      expect(JSON.parse(status.stdout)).toMatchObject({
        samples: [{ change: 'create' }, { change: 'create' }],
      });
      const approved = await scene.json('approve', run, id.slice(0, 8));
      expect(approved).toMatchObject({
        code: 0,
        report: { run, outcome: 'verified', ledger: { applied: 30 } },
      });
      expect(scene.hub('new').record('later')).toBeUndefined();

      const late = await scene.json('approve', run, id);
      expect(late).toMatchObject({ code: 1, report: { error: { code: 'RUN_ENDED' } } });
      const other = await scene.json('migrate', 'old', 'spare', '--plan', id);
      expect(other).toMatchObject({ code: 1, report: { error: { code: 'PLAN_NOT_FOUND' } } });
      expect(other.report.error?.message).toMatch(/^Plan [\da-f]+ is not of old\S+ and spare\S+\.$/);
    },
    PATIENCE * 2,
  );

  it(
    'lets a run rest, go slower, go on and end early, from any machine',
    async () => {
      const importing = (): boolean =>
        scene
          .hub('new')
          .jobs.list()
          .some(({ type, endTimeUtc }) => type === 'import' && !endTimeUtc);
      scene.hub('old').load(generateFleet({ devices: 30, seed: 3, plain: true }));
      scene.hub('new').set({ startDelay: 2_000 });
      const chunks = ['--set', 'settings.chunkLines=10'];
      const { report: begun } = await scene.json('migrate', 'old', 'new', '--detach', ...chunks);
      await until('a chunk waits at the hub', importing);
      const paused = await scene.json('pause', begun.run, '--wait');
      expect(paused).toMatchObject({
        code: 0,
        report: { outcome: 'parked', parked: { reason: 'paused' }, ledger: { uncertain: 0 } },
      });
      const { applied, unsent } = paused.report.ledger;
      expect([10, 20]).toContain(applied);
      expect(applied + unsent).toBe(30);
      const watched = await scene.hubferry('watch', begun.run);
      expect(watched).toMatchObject({ code: 3 });
      expect(watched.stdout).toContain('parked: it was paused');
      expect(watched.stdout).toContain(`to go on: hubferry resume ${begun.run}`);
      const slow = await scene.json('throttle', begun.run, '--hub', 'new', '--rate', '1000');
      expect(slow).toMatchObject({ code: 0, report: { rates: { [begun.target ?? '']: 1_000 } } });
      const other = await scene.json('throttle', begun.run, '--hub', 'spare', '--rate', '1');
      expect(other).toMatchObject({ code: 1, report: { error: { code: 'HUB_NOT_OF_RUN' } } });
      scene.hub('new').set({ startDelay: 0 });
      scene.hub('new').addJobFault({ kind: 'hang', type: 'import' });
      const resumed = await scene.json('resume', begun.run, '--detach');
      expect(resumed).toMatchObject({ code: 0, report: { run: begun.run } });
      await until('another chunk hangs at the hub', importing);
      const { code, stdout } = await scene.hubferry('cancel', begun.run, '--now');
      expect(code).toBe(4);
      expect(stdout).toMatch(/ {2}cancelled\n[\s\S]*uncertain 10/);
      const late = await scene.json('cancel', begun.run);
      expect(late).toMatchObject({ code: 1, report: { error: { code: 'RUN_ENDED' } } });
      const list = await scene.hubferry(
        'list',
        '--verb',
        'migrate',
        '--hub',
        'new',
        '--limit',
        '2',
        '--json',
      );
      const outcomes = (JSON.parse(list.stdout) as RunReport[]).map(({ outcome }) => outcome);
      expect(outcomes[0]).toBe('cancelled');
    },
    PATIENCE * 2,
  );

  it(
    'edits one hub by a file, ids, an expression and the service’s own lines, in one run',
    async () => {
      scene.hub('new').load(generateFleet({ devices: 40, seed: 2, plain: true }));
      const before = essence(scene.hub('new').dump());
      const [first = '', second = '', third = ''] = Object.keys(before).map((name) => name.slice(0, -1));
      const key = Buffer.alloc(32, 'k').toString('base64');
      const csv = `id,op,statusReason,tags.site\nmade,create,,x\n${first},update,why,\n`;
      const line = `{"id":"${third}","status":"enabled","importMode":"delete"}\n`;
      const args = ['--file', scene.config('edits.csv', csv)];
      args.push('--ids', scene.config('ids.txt', `${second}\n`), '--disable', '--reason', 'gone');
      args.push('--set-tag', 'n=1', '--where', 'id == "made"');
      args.push('--import-file', scene.config('import.txt', line));
      const asked = await scene.hubferry('edit', 'new', ...args);
      expect(asked).toMatchObject({ code: 2, stdout: '' });
      expect(asked.stderr).toContain('without a terminal it needs --yes');
      scene.expectUnwritten();
      const keysOut = join(scene.stand.folder, 'edited.jsonl');
      const { code, report } = await scene.json('edit', 'new', ...args, '--yes', '--keys-out', keysOut);
      expect({ code, error: report.error }).toEqual({ code: 0, error: null });
      expect(report).toMatchObject({
        workflow: 'edit',
        outcome: 'verified',
        ledger: { create: 1, update: 2, delete: 1, applied: 4 },
        rules: [{ name: '--where', matched: 1, changed: 1 }],
      });
      expect(essence(scene.hub('new').dump())).toMatchObject({
        'made/': { status: 'disabled', statusReason: 'gone', tags: { site: 'x', n: 1 } },
        [`${first}/`]: { statusReason: 'why' },
        [`${second}/`]: { status: 'disabled', statusReason: 'gone' },
      });
      const made = JSON.parse(readFileSync(keysOut, 'utf8')) as Record<string, string>;
      expect(made['deviceId']).toBe('made');
      const undone = await scene.hubferry('rollback', report.run, '--yes');
      expect(undone.code).toBe(0);
      expect(essence(scene.hub('new').dump())).toEqual(before);

      const secret = scene.config(
        'bad.jsonl',
        `{"id":"a","primaryKey":"${key}","secondaryKey":7}\n{"id":"b","op":"x"}`,
      );
      const bad = await scene.json('edit', 'new', '--file', secret);
      expect(bad).toMatchObject({ code: 2, report: { error: { code: 'EDIT_INVALID' } } });
      expect(bad.report.error?.message).toMatch(
        /bad\.jsonl:1: secondaryKey: expected a text\n.*:2: op: expected/,
      );
      expect(bad.stdout + bad.stderr).not.toContain(key);
    },
    PATIENCE * 2,
  );

  it(
    'ends with 3 when a record is refused; the others arrive',
    async () => {
      load(20);
      scene.hub('old').load([{ deviceId: 'too-wide', tags: { n: 2 ** 53 } }]);
      const { code, stdout } = await scene.hubferry('migrate', 'old', 'new');
      expect(code).toBe(3);
      expect(stdout).toContain('TWIN_NUMBER_OUT_OF_RANGE');
      expect(stdout).toContain('too-wide');
      expect(scene.hub('new').record('too-wide')).toBeUndefined();
      expect(Object.keys(essence(scene.hub('new').dump()))).toHaveLength(20);
    },
    PATIENCE,
  );

  it(
    'a drill, as docs/drills.md tells it: 0 when it passes, 3 with a missed objective',
    async () => {
      scene.hub('old').load(generateFleet({ devices: 20, seed: 1, plain: true }));
      const drill = await scene.json('drill', 'old', 'scratch', '--rto', '30m', '--rpo', '24h');
      expect(drill).toMatchObject({ code: 0, report: { outcome: 'verified', cleaned: true, error: null } });
      const missed = await scene.hubferry('drill', 'old', 'scratch', '--latest', '--rto', '1ms');
      expect(missed.code).toBe(3);
      const lines = missed.stdout.trimEnd().split('\n');
      expect(lines.filter((line) => line.length > 80)).toEqual([]);
      expect(lines).toContain('  not passed: 1 objective missed');
      expect(missed.stdout).toMatch(/^ {4}recovery time \S+ m?s \(objective 1ms: missed\)$/m);
      expect(lines).toContain('  scratch hub empty again');
      expect(Object.keys(essence(scene.hub('scratch').dump()))).toEqual([]);
      expect(writesOf(scene.hub('old'))).toEqual({});

      const listed = (await scene.hubferry('list', '--drills')).stdout.trimEnd().split('\n');
      expect(listed).toHaveLength(3);
      expect(listed[1]).toMatch(/ differences +20 {2}[\d.]+m?s\/1ms! +[\d.ms ]+ +yes$/);
      expect(listed[2]).toMatch(/ verified +20 {2}[\d.]+m?s\/30m +[\d.]+m?s\/24h {2}yes$/);

      // Declared so by the command only: the worker, which knows better, ends the run.
      const { configFile } = scene.stand;
      const text = readFileSync(configFile, 'utf8').replace(/( {2}spare: \{.*) \}/, '$1, role: scratch }');
      const config = scene.config('declared-here.yaml', text);
      expect(await scene.json('drill', 'old', 'spare', '--config', config)).toMatchObject({
        code: 1,
        report: { outcome: 'failed', error: { code: 'HUB_NOT_SCRATCH' } },
      });
    },
    PATIENCE * 2,
  );

  it(
    'goes on by itself with --detach, and after Ctrl-C; the same command attaches',
    async () => {
      load(40);
      scene.hub('new').set({ startDelay: 2_000 });
      const detached = await scene.json('migrate', 'old', 'new', '--detach');
      expect(detached).toMatchObject({ code: 0, report: { outcome: 'running' } });
      const { run } = detached.report;

      const attached = scene.start('migrate', 'old', 'new', '--json');
      await until('it attaches', () => attached.stderr().includes(`run ${run} goes on: attached to it`));
      attached.child.kill('SIGINT');
      const left = await attached.ended;
      expect(left.code).toBe(130);
      expect(left.stderr).toContain(`The run goes on. Come back with: hubferry status ${run}`);
      expect(JSON.parse(left.stdout)).toMatchObject({ run, outcome: 'running' });

      const other = await scene.json('migrate', 'old', 'new', '--existing', 'skip');
      expect(other).toMatchObject({ code: 1, report: { error: { code: 'TARGET_BUSY' } } });
      expect(other.report.error?.message).toContain(run);

      const open = await scene.json('status', run);
      expect(open).toMatchObject({ code: 0, report: { run, outcome: 'running' } });

      scene.hub('new').set({ startDelay: 0 });
      const followed = await scene.json('migrate', 'old', 'new');
      expect(followed).toMatchObject({ code: 0, report: { run, outcome: 'verified' } });
      equal('old', 'new');
    },
    PATIENCE,
  );

  it(
    'ends with 4 when its workflow is cancelled, and leaves no container',
    async () => {
      load(40);
      scene.hub('new').set({ startDelay: 60_000 });
      const started = scene.start('migrate', 'old', 'new', '--json');
      const { host } = new URL(`https://${scene.hub('new').hostName}`);
      const { client, connection } = await connectClient({
        address: scene.stand.temporal.address,
        namespace: 'default',
      });
      try {
        await until('the job of the target is in its line', async () => {
          const line = await client.workflow
            .getHandle(hubQueueIdOf(host))
            .query<unknown[]>('line')
            .catch(() => []);
          return (
            line.length > 0 &&
            scene
              .hub('new')
              .jobs.list()
              .some(({ status }) => status === 'enqueued')
          );
        });
        await client.workflow.getHandle(`write/${host}`).cancel();
      } finally {
        await connection.close();
      }
      const ended = await started.ended;
      expect(ended.code).toBe(4);
      const report = JSON.parse(ended.stdout) as RunReport;
      expect(report.outcome).toBe('cancelled');
      expect(scene.hub('new').jobs.list()[0]).toMatchObject({ status: 'cancelled' });
      const containers: string[] = [];
      for await (const name of scene.storage.listContainers(`hf-${report.run}`)) containers.push(name);
      expect(containers).toEqual([]);
    },
    PATIENCE,
  );
});

describe('Ctrl-C before there is a run', () => {
  it.each([
    ['migrate', ['old', 'new'], { run: null, outcome: 'failed' }],
    ['check', ['old'], { run: null, outcome: 'failed' }],
    ['list', [], { outcome: 'failed' }],
  ])(
    '%s says that nothing was started',
    async (verb, args, members) => {
      const silent = createServer().listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const address = silent.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      const text = readFileSync(scene.stand.configFile, 'utf8');
      const file = scene.config(
        'silent server.yaml',
        text.replace(/^temporal: .*$/m, `temporal: { address: "127.0.0.1:${port}" }`),
      );
      // Something to ask the server about.
      await storeRun({ run: '20260101-000000-silent', outcome: 'running', server: 'elsewhere' });
      const asked = once(silent, 'connection');
      const { child, ended } = scene.start(verb, ...args, '--json', '--config', file);
      await asked;
      child.kill('SIGINT');
      const { code, stdout, stderr } = await ended;
      silent.close();
      expect(code).toBe(130);
      expect(stderr).toContain('INTERRUPTED: Interrupted; no run was started.');
      expect(JSON.parse(stdout)).toMatchObject({ ...members, error: { code: 'INTERRUPTED' } });
    },
    PATIENCE,
  );
});

describe('report', () => {
  const run = '20260101-000000-report';
  const saved = (name: string): string => join(scene.stand.folder, name, `${run}.report.html`);

  it(
    'replaces its own files and no others, and follows no name in a stored report',
    async () => {
      await storeRun({ run, outcome: 'failed', server: 'elsewhere' });
      const stolen = {
        ...emptyReport({ run: '../../x', workflow: 'plan', source: 'a', target: 'b' }),
        outcome: 'failed',
      };
      await scene.storage.writeText('hubferry', `runs/${run}.json`, JSON.stringify(stolen));
      for (const _ of ['first', 'again']) {
        const { code, stdout } = await scene.hubferry('report', run, '--out', 'here');
        expect({ code, stdout }).toEqual({
          code: 0,
          stdout: `here/${run}.report.html\nhere/${run}.report.json\n`,
        });
      }
      writeFileSync(saved('here'), '<p>mine</p>');
      const refused = await scene.json('report', run, '--out', 'here');
      expect(refused).toMatchObject({ code: 2, report: { error: { code: 'USAGE' } } });
      expect(readFileSync(saved('here'), 'utf8')).toBe('<p>mine</p>');
      writeFileSync(join(scene.stand.folder, 'a-file'), '');
      const nowhere = await scene.json('report', run, '--out', 'a-file/below');
      expect(nowhere).toMatchObject({ code: 1, report: { error: { code: 'REPORT_NOT_SAVED' } } });
      await scene.storage.deleteBlob('hubferry', `runs/${run}.json`);
    },
    PATIENCE,
  );
});

describe('status and list', () => {
  it(
    'know a run of this server that is gone from one of another, and leave out what is no report',
    async () => {
      const ours = `${scene.stand.temporal.address}/default`;
      await storeRun({ run: '20260101-000000-lost00', outcome: 'running', server: ours });
      await storeRun({ run: '20260101-000000-away00', outcome: 'running', server: 'far:7233/default' });
      await scene.storage.writeText('hubferry', 'runs/20260101-000000-broken.json', '{"run":');

      const lost = await scene.json('status', '20260101-000000-lost00');
      expect(lost).toMatchObject({ code: 0, report: { outcome: 'failed', error: { code: 'RUN_LOST' } } });
      const away = await scene.json('status', '20260101-000000-away00');
      expect(away).toMatchObject({ code: 0, report: { outcome: 'running', error: null } });
      expect(away.stderr).toBe(
        'runs under another Temporal server (far:7233/default); this is how it began\n',
      );
      const broken = await scene.json('status', '20260101-000000-broken');
      expect(broken).toMatchObject({ code: 1, report: { error: { code: 'RUN_NOT_FOUND' } } });

      const list = await scene.hubferry('list', '--json');
      expect(list.code).toBe(0);
      const outcomes = new Map(
        (JSON.parse(list.stdout) as RunReport[]).map(({ run, outcome }) => [run, outcome]),
      );
      expect(outcomes.get('20260101-000000-lost00')).toBe('failed');
      expect(outcomes.get('20260101-000000-away00')).toBe('running');
      expect(list.stderr).toContain(
        'hubferry/runs/20260101-000000-broken.json is not the report of a run; left out',
      );
    },
    PATIENCE,
  );
});

/** A report in the storage account, as a run that began left it. */
async function storeRun(change: Pick<RunReport, 'run' | 'outcome' | 'server'>): Promise<void> {
  const report = emptyReport({ run: '', workflow: 'migrate', source: 'a.localhost', target: 'b.localhost' });
  await scene.storage.createContainer('hubferry');
  const text = JSON.stringify({ ...report, ...change });
  await scene.storage.writeText('hubferry', `runs/${change.run}.json`, text);
}
