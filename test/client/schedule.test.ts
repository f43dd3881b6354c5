import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkCron } from '../../client/cron.js';
import { type CreateOptions, planOf, scheduleCommand } from '../../client/schedule.js';
import {
  createdText,
  detailsText,
  keepText,
  listedText,
  plainly,
  whenText,
} from '../../client/schedule-text.js';
import type { ScheduleDetails } from '../../client/schedules.js';
import { HubferryError } from '../../registry/errors.js';
import { emptyReport, type RunReport } from '../../workflows/messages.js';

describe('--cron', () => {
  it.each([
    ['30 2 * * *', '30 2 * * *'],
    ['  */15   0-6,20-23/2 1,15 JAN-Mar mon-fri ', '*/15 0-6,20-23/2 1,15 jan-mar mon-fri'],
    ['0 0 29 2 *', '0 0 29 2 *'],
    ['5/20 * * * 7', '5/20 * * * 7'],
    ['@daily', '@daily'],
  ])('takes %s', (text, taken) => {
    expect(checkCron(text)).toBe(taken);
  });

  it.each([
    ['', 'not 0'],
    ['* * * *', 'five fields, not 4'],
    ['0 * * * * *', 'five fields, not 6'],
    ['60 * * * *', 'minute "60" is not from 0 to 59'],
    ['0 24 * * *', 'hour "24"'],
    ['0 0 0 * *', 'day of the month "0"'],
    ['0 0 * 13 *', 'month "13"'],
    ['0 0 * * 8', 'day of the week "8"'],
    ['0 0 * foo *', 'month "foo"'],
    ['5-1 * * * *', 'ends before it begins'],
    ['*/0 * * * *', 'step of 0'],
    ['1, * * * *', 'minute "" cannot be read'],
    ['0 0 L * *', 'day of the month "l"'],
    ['0 0 ? * *', 'cannot be read'],
    ['0 0 31 2,4 *', 'no such day'],
    ['CRON_TZ=Europe/Berlin 0 0 * * *', 'times are UTC'],
    ['@every 5m', '--every takes intervals'],
  ])('refuses %s', (text, words) => {
    const checked = () => checkCron(text);
    expect(checked).toThrow(HubferryError);
    expect(checked).toThrow(words);
  });
});

describe('options of schedule create', () => {
  it.each([
    [['--every', '500ms'], 'a second or more'],
    [['--every', '1w'], 'a whole number and a unit'],
    [['--jitter', 'x'], 'a whole number and a unit'],
    [['--keep', '0'], 'from 1 up'],
    [['--keep-age', '30'], 'a whole number and a unit'],
    [['--overlap', 'allow-all'], 'Allowed choices'],
  ])('%s', (words, why) => {
    const create = scheduleCommand().commands.find((command) => command.name() === 'create');
    create?.exitOverride().configureOutput({ writeErr: () => undefined });
    expect(() => create?.parseOptions(words)).toThrow(why);
  });

  it.each(['2026-02-30', '2026-13-01', 'yesterday', '2026-08-01T12:00:00+02:00', '2026-08-01T25:00'])(
    'backfill takes no %s',
    (text) => {
      const backfill = scheduleCommand().commands.find((command) => command.name() === 'backfill');
      backfill?.exitOverride().configureOutput({ writeErr: () => undefined });
      expect(() => backfill?.parseOptions(['--from', text])).toThrow('a moment in UTC');
    },
  );
});

describe('what a schedule starts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-schedule-'));
  const config = join(folder, 'hubferry.yaml');
  beforeAll(() => {
    const hub = (name: string) =>
      `"HostName=${name}.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=bm93aGVyZQ=="`;
    writeFileSync(
      config,
      [
        'hubs:',
        `  old: { connectionString: ${hub('old')}, readOnly: true }`,
        `  new: { connectionString: ${hub('new')} }`,
        'storage: { connectionString: "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=bm93aGVyZQ==" }',
        'temporal: { address: "127.0.0.1:1" }',
      ].join('\n'),
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const usual: CreateOptions = {
    config,
    json: false,
    every: 86_400_000,
    overlap: 'skip',
    pauseOnFailure: false,
  };
  const planned = (line: string, change: Partial<CreateOptions> = {}, name = 'nightly') => {
    const { every, ...rest } = usual;
    const when = change.cron === undefined ? { every } : {};
    return planOf(name, line.split(' '), { ...rest, ...when, ...change } as CreateOptions);
  };
  const base = { run: 'RUN', account: 'https://a.blob.core.windows.net', settings: {} as never };

  it('is what the verb itself would start', async () => {
    const { plan } = await planned(
      'migrate old new --existing overwrite --extra delete --yes --max-delete 5',
      {
        keep: 14,
        keepAge: 30 * 86_400_000,
      },
    );
    expect(plan).toMatchObject({
      name: 'nightly',
      when: { every: 86_400_000 },
      keep: { count: 14, age: 2_592_000_000 },
      command: 'migrate old new --existing overwrite --extra delete --yes --max-delete 5',
    });
    expect(plan.start.workflowId('RUN')).toBe('write/new.azure-devices.net');
    expect(plan.start.input(base)).toEqual({
      ...base,
      goal: 'migrate',
      source: { kind: 'hub', host: 'old.azure-devices.net' },
      target: { host: 'new.azure-devices.net' },
      existing: 'overwrite',
      extra: 'delete',
      maxDelete: 5,
      strict: false,
    });
    const { plan: snapshot } = await planned('snapshot old --exclude-keys');
    expect(snapshot.start.workflowId('RUN')).toBe('snapshot/RUN');
    expect(snapshot.start.input(base)).toMatchObject({ excludeKeys: true });
  });

  it.each<[line: string, words: string, change?: Partial<CreateOptions>]>([
    ['check', 'cannot be scheduled'],
    ['edit new --ids x --delete', 'cannot be scheduled'],
    ['constructor', 'cannot be scheduled'],
    ['snapshot', "missing required argument 'hub'"],
    ['snapshot old --bogus', 'unknown option'],
    ['snapshot old --help', 'no help'],
    ['snapshot old --detach', '--detach says nothing'],
    ['snapshot old --json', 'stands before the --'],
    ['snapshot old --config other.yaml', 'stands before the --'],
    ['snapshot old --set settings.x=1', 'settings'],
    ['snapshot nope', 'has no hub "nope"'],
    ['migrate new old', 'marked readOnly'],
    ['migrate new new', 'the same hub'],
    ['migrate old new --approve', '--approve waits for somebody'],
    ['migrate old new --plan 0123456789', 'plans anew each time'],
    ['migrate old new --keys-out keys.jsonl', '--keys-out writes a file here'],
    ['migrate old new --extra delete', 'needs --yes'],
    ['migrate old new --rules nowhere.yaml', 'nowhere.yaml'],
    ['migrate snapshot:x new', 'names no snapshot'],
    ['verify old new', 'verify keeps none', { keep: 3 }],
    ['snapshot old', 'must be less than --every', { jitter: 86_400_000 }],
    ['snapshot old', 'minute "x"', { cron: 'x * * * *' }],
  ])('%s: %s', async (line, words, change) => {
    const refused: unknown = await planned(line, change).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HubferryError);
    expect((refused as HubferryError).message).toContain(words);
  });

  it('has one kind of times, and a name', async () => {
    const { every: _, ...never } = usual;
    await expect(planOf('n', ['snapshot', 'old'], never)).rejects.toThrow('either --every or --cron');
    await expect(planOf('n', ['snapshot', 'old'], { ...usual, cron: '@daily' })).rejects.toThrow('either');
    await expect(planned('snapshot old', {}, 'a/b')).rejects.toThrow('is no name');
  });

  it('shows no secret of its command', async () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    await expect(planned(`snapshot HostName=x;SharedAccessKey=${key}`)).rejects.not.toThrow(key);
  });
});

describe('the text', () => {
  const schedule: ScheduleDetails = {
    name: 'a-name-of-sixty-four-characters-is-the-longest-that-there-can-be',
    note: {
      command:
        'migrate old new --existing overwrite --extra delete --yes --max-delete 500 --rules rules.yaml',
      when: { every: 86_400_000 },
      jitter: 300_000,
      keep: { count: 14, age: 30 * 86_400_000 },
    },
    paused: false,
    reason: null,
    next: [1, 2, 3, 4, 5, 6].map((day) => new Date(`2026-08-0${day}T00:00:00Z`)),
    overlap: 'skip',
    catchUp: 3_600_000,
    pauseOnFailure: true,
    counts: { started: 1_234_567, skippedByOverlap: 1_234_567, missed: 1_234_567 },
    recent: [],
    running: true,
  };
  const skipped: RunReport = {
    ...emptyReport({ run: '20260801-000000-ab12cd', workflow: 'migrate', source: 'old', target: 'new' }),
    started: '2026-08-01T00:00:00.000Z',
    outcome: 'skipped',
    error: {
      code: 'TARGET_BUSY',
      message: 'Run 20260731-235900-ab12cd wrote to new.azure-devices.net when schedule nightly was due.',
      hint: '',
    },
  };

  it('says in UTC when and what', () => {
    expect(whenText({ when: { every: 5_400_000 } })).toBe('every 90 min (UTC)');
    expect(whenText({ when: { cron: '0 2 * * *' }, jitter: 90_000 })).toBe(
      'cron 0 2 * * * (UTC), up to 90 s later',
    );
    expect(plainly(1_500)).toBe('1500 ms');
    expect(keepText({ count: 1 })).toBe('keeps snapshots of the newest run');
    expect(keepText({ count: 14, age: 2_592_000_000 })).toBe(
      'keeps snapshots of the newest 14 runs, not older than 30 d',
    );
  });

  it('shows the next five times, and runs with why they were skipped', () => {
    const text = detailsText(schedule, [skipped], 80);
    expect(text).toContain('    2026-08-05 00:00:00\n  times so far');
    expect(text).toContain('20260801-000000-ab12cd  2026-08-01 00:00:00  skipped');
    expect(text).toContain('TARGET_BUSY: Run 20260731-235900-ab12cd');
    expect(detailsText({ ...schedule, paused: true, reason: 'holiday\u001b', next: [] }, [], 80)).toContain(
      'paused: holiday\\x1b',
    );
  });

  it('says how long it lives in embedded mode, and how to stop it', () => {
    const { life } = createdText(schedule, true, 80);
    const words = life.join(' ').replaceAll(/\s+/g, ' ');
    expect(words).toContain('fires while the embedded server of this machine runs');
    expect(words).toContain('`hubferry down` stops it');
    expect(createdText(schedule, false, 80).life.join(' ')).toContain('hubferry worker');
  });

  it('fits 80 columns', () => {
    const { made, life } = createdText(schedule, true, 80);
    const listed = listedText(
      [
        { schedule, last: skipped },
        { schedule: { ...schedule, paused: true, reason: 'since '.repeat(30) }, last: null },
      ],
      80,
    );
    const details = detailsText(schedule, [skipped], 80);
    const lines = [...made, ...life, ...listed.split('\n'), ...details.split('\n')];
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(listedText([], 80)).toBe('no schedules');
  });
});
