import { describe, expect, it } from 'vitest';
import { emptyLedger } from '../../registry/ledger.js';
import { checkJobFault } from '../../simulator/jobs/job-faults.js';
import { router } from '../../simulator/routes/index.js';
import { checkSettings } from '../../simulator/settings.js';
import { checkFaultRule } from '../../simulator/traffic/faults.js';
import { emptyReport, type RunReport } from '../../workflows/messages.js';
import { judge } from './judge.js';
import type { Ended, Observed } from './lane.js';
import { kindOf, type Mix, mixOf, wordsOf } from './mix.js';

const SEEDS = Array.from({ length: 500 }, (_, n) => n + 1);
const MIXES = SEEDS.map(mixOf);

describe('a mix', () => {
  it('is the same for the same seed, and nothing but data', () => {
    for (const mix of MIXES.slice(0, 50)) {
      expect(JSON.stringify(mixOf(mix.seed))).toBe(JSON.stringify(mix));
      expect(JSON.parse(JSON.stringify(mix))).toStrictEqual(mix);
    }
    expect(new Set(MIXES.map(({ seed: _seed, ...rest }) => JSON.stringify(rest))).size).toBe(MIXES.length);
  });

  it('asks the simulator for nothing that it does not have', () => {
    for (const { hubs, strikes } of MIXES) {
      for (const settings of Object.values(hubs)) checkSettings(settings);
      for (const strike of strikes) {
        if (strike.on === 'hub') checkFaultRule(strike.rule, router.names);
        if (strike.on === 'job') checkJobFault(strike.fault);
        if (strike.on === 'storage') expect(new RegExp(strike.requests).flags).toBe('');
      }
    }
  });

  it('leaves one of the three tries of an export unharmed, unless it may fail', () => {
    for (const { strikes, mayEnd } of MIXES)
      for (const hub of ['old', 'new'])
        if (mayEnd.length === 0)
          expect(
            strikes.filter((one) => one.on === 'job' && one.hub === hub && one.fault.type === 'export')
              .length,
          ).toBeLessThanOrEqual(2);
  });

  it('may be of every kind', () => {
    const kinds = new Set(MIXES.flatMap(({ strikes }) => strikes.map(kindOf)));
    const storage = ['500', '503', 'drop', 'loseReply', 'cutReply', 'delay'];
    const named = [
      'hub 429, hub 500, hub 502, hub 503, hub 504, hub 401, hub IotHubFailingOver, hub delay, hub drop',
      'hub loseReply, hub truncateBody, hub splitBody, hub slowBody, hub refuseConnection',
      'job failAfter, job vanish, job hang, job finishLate, job cutOutput, job occupySlot, job refuseStorage',
      'job lateErrorLog, job noErrorLog, job doubtLines, job rejectLines',
      'kill worker, freeze worker, kill server, kill command, kill all, storage 403',
    ].flatMap((line) => line.split(', '));
    for (const of of ['storage', 'hub’s storage']) named.push(...storage.map((fault) => `${of} ${fault}`));
    expect([...kinds].toSorted()).toEqual(named.toSorted());
    const words = MIXES.map(wordsOf).join('\n');
    for (const what of ['plain onto empty', 'mixed onto some', 'whole onto older overwrite', 'older skip'])
      expect(words).toContain(what);
    for (const what of ['extra keep', 'extra delete', 'two workers', 'throttled'])
      expect(words).toContain(what);
  });
});

describe('the judge', () => {
  const [mix] = MIXES as [Mix];
  const content = { 'a/': { tags: {} }, 'b/': { tags: { n: 1 } } };
  const report: RunReport = {
    ...emptyReport({ run: 'R', workflow: 'migrate', source: 'old.localhost:1', target: 'new.localhost:1' }),
    outcome: 'verified',
    phase: 'ended',
    plan: 'p',
    ledger: {
      ...emptyLedger(),
      source: 2,
      desired: 2,
      create: 2,
      applied: 2,
      systemModules: emptyLedger(),
      configurations: null,
    },
    verify: { compared: 2, match: 2, kept: 0, different: 0, missing: 0, extra: 0 },
    jobs: [
      { hub: 'new.localhost:1', type: 'import', status: 'completed', seconds: 1, started: '', lines: 2 },
    ],
    hubCalls: { 'new.localhost:1': { jobs: 2, polls: 1, other: 0 } },
    snapshots: { source: 'hf-R-0001-1', target: 'hf-R-0002-1' },
  };
  const ended: Ended = { code: 0, killed: false, report, said: '' };
  const job = { hub: 'new', type: 'import', status: 'completed', container: 'hf-R-100000-1' } as const;
  const good: Observed = {
    mix: { ...mix, mayEnd: [] },
    commands: [ended],
    stuck: false,
    reports: [report],
    source: [content, content],
    target: [content, content],
    jobs: [job],
    counts: { 'new.localhost:1': { 'POST /jobs/create': 1, 'GET /jobs': 1, 'GET /jobs/{id}': 1 } },
    containers: ['hubferry', 'hf-R-0001-1', 'hf-R-0002-1'],
    opened: [],
    held: [],
    workflows: [],
    waiting: [],
    leaks: [],
    struck: new Map(),
    seconds: 1,
  };
  const failed: RunReport = {
    ...report,
    outcome: 'failed',
    hubCalls: {},
    error: { code: 'SNAPSHOT_CUT', message: 'cut', hint: '' },
  };
  const cut: Ended = { ...ended, code: 1, report: failed };

  it('finds a run right that is', () => {
    expect(judge(good)).toEqual({ grade: 'right', faults: [] });
  });

  it('lets a run fail as its mix says, when the same command ends well', () => {
    const twice = { ...good, commands: [cut, ended], reports: [failed, report] };
    expect(judge(twice).grade).toBe('broken');
    expect(judge({ ...twice, mix: { ...mix, mayEnd: ['SNAPSHOT_CUT'] } }).grade).toBe('right');
    expect(judge({ ...twice, mix: { ...mix, mayEnd: ['SNAPSHOT_CUT'] }, commands: [cut] }).grade).toBe(
      'broken',
    );
  });

  it.each<[Observed]>([
    [{ ...good, target: [content, { 'a/': { tags: {} } }] }],
    [{ ...good, target: [content, { ...content, 'b/': { tags: { n: 2 } } }] }],
    [{ ...good, target: [content, { ...content, 'c/': {} }] }],
  ])('finds a run wrong that says verified and is not', (seen) => {
    expect(judge(seen).grade).toBe('wrong');
  });

  it.each<[string, Partial<Observed>]>([
    ['it did not end', { stuck: true, commands: [] }],
    ['not verified', { commands: [cut], mix: { ...mix, mayEnd: ['SNAPSHOT_CUT'] } }],
    ['the source changed', { source: [content, {}] }],
    ['is not', { reports: [{ ...report, ledger: { ...report.ledger, applied: 1 } }] }],
    [
      'is not',
      {
        reports: [
          { ...report, verify: { compared: 2, match: 1, kept: 0, different: 0, missing: 0, extra: 0 } },
        ],
      },
    ],
    ['more than one job', { jobs: [job, job] }],
    ['ran 0 import jobs', { jobs: [] }],
    ['calls (polls)', { counts: { 'new.localhost:1': { 'POST /jobs/create': 2 } } }],
    ['was left', { containers: [...good.containers, 'hf-R-work'] }],
    ['access to', { opened: ['hf-R-0001-1'] }],
    ['still runs', { workflows: ['apply/R/0'] }],
    ['still waits', { waiting: ['hf-R-0003-1'] }],
    ['is still running', { jobs: [{ ...job, status: 'running' }] }],
    ['was printed', { leaks: ['the key of a'] }],
    ['without a report', { commands: [{ ...ended, report: null }, ended] }],
  ])('says "%s" where that is so', (words, more) => {
    const { grade, faults } = judge({ ...good, ...more });
    expect(grade).not.toBe('right');
    expect(faults.join('\n')).toContain(words);
  });
});
