import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LiveRun } from '../../client/follow.js';
import { Progress, describe as told } from '../../client/progress.js';
import { emptyReport, type JobState, type Phase } from '../../workflows/messages.js';

const SOURCE = 'old.azure-devices.net';
const TARGET = 'new.azure-devices.net';

function liveRun(phase: Phase, more: Partial<Omit<LiveRun, 'report'>> = {}): LiveRun {
  const report = {
    ...emptyReport({ run: 'r', workflow: 'migrate', source: SOURCE, target: TARGET }),
    phase,
  };
  return { report, apply: null, jobs: [], inLine: [], ...more };
}

const job = (change: Partial<JobState & { host: string }>): JobState & { host: string } => ({
  host: TARGET,
  container: 'c',
  type: 'import',
  lines: 1_000,
  status: 'running',
  progress: 50,
  jobId: 'j',
  elapsed: 10_000,
  ...change,
});

describe('one line of progress', () => {
  it('tells both exports, with the time that is left', () => {
    const jobs = [
      job({ host: SOURCE, type: 'export', progress: 25 }),
      job({ type: 'export', status: 'enqueued', progress: null, lines: 0 }),
    ];
    expect(told(liveRun('snapshot', { jobs }))).toBe(
      'snapshot   source 25%, 30 s left · target queued · 25 devices/s',
    );
  });

  it('tells of an import how much of all is done, how fast, and what is left', () => {
    const apply = { wave: 'devices', chunk: 3, chunks: 9, sent: 2_000, lines: 9_000, rejected: 4 };
    expect(told(liveRun('apply', { apply, jobs: [job({})] }))).toBe(
      'apply      27% of 9,000 · 50 records/s · 2 min 10 s left · devices job 3/9 50% · 4 rejected',
    );
  });

  it('says who holds the hub', () => {
    expect(told(liveRun('snapshot', { inLine: [{ host: SOURCE, ahead: 2 }] }))).toBe(
      'snapshot   source waits in line, 2 jobs ahead',
    );
    const jobs = [job({ status: 'slot held by another job', progress: null })];
    expect(told(liveRun('snapshot', { jobs }))).toContain('target waits for a job of somebody else');
  });
});

describe('on a terminal', () => {
  /** Whatever machine the tests run on. */
  beforeEach(() => {
    vi.stubEnv('CI', undefined);
    vi.stubEnv('TERM', 'xterm-256color');
    vi.stubEnv('NO_COLOR', '');
  });
  afterEach(() => void vi.unstubAllEnvs());

  /** All that a run with one phase after the other writes. */
  async function written(): Promise<string> {
    const stream = Object.assign(new PassThrough(), {
      isTTY: true,
      columns: 80,
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    });
    const progress = await Progress.open(stream as unknown as NodeJS.WriteStream);
    const jobs = [job({ type: 'export', progress: 10, lines: null })];
    for (let look = 0; look < 3; look++) progress.show(liveRun('snapshot', { jobs }));
    const over = liveRun('transform');
    over.report.seconds.phases.snapshot = 6;
    progress.show(over);
    progress.end();
    return String(stream.read());
  }

  it.each([
    ['a dumb terminal', 'TERM', 'dumb'],
    ['CI', 'CI', '1'],
  ])('in %s, where nothing can move, it writes plain lines', async (_, name, value) => {
    vi.stubEnv(name, value);
    expect((await written()).split('\n')).toEqual([
      'snapshot   target 10%, 1 min 30 s left',
      'snapshot   done in 6.0 s',
      'transform',
      '',
    ]);
  });

  it('has no colour under NO_COLOR', async () => {
    vi.stubEnv('NO_COLOR', '1');
    const text = await written();
    expect(text).toContain('✔ snapshot   6.0 s');
    // oxlint-disable-next-line no-control-regex -- it is what is looked for
    expect(text).not.toMatch(/\u001b\[[\d;]*m/);
  });
});

describe('without a terminal', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('writes a line when the work changes, not at every look, and one for each phase that is over', async () => {
    const stream = new PassThrough();
    const progress = await Progress.open(stream as unknown as NodeJS.WriteStream);
    const jobs = (percent: number) => [job({ type: 'export', progress: percent, lines: null })];
    progress.show(liveRun('snapshot', { jobs: jobs(10) }));
    vi.advanceTimersByTime(500);
    progress.show(liveRun('snapshot', { jobs: jobs(20) }));
    vi.advanceTimersByTime(5_000);
    progress.show(liveRun('snapshot', { jobs: jobs(60) }));
    const over = liveRun('transform');
    over.report.seconds.phases.snapshot = 6;
    progress.show(over);
    progress.end(over.report);
    expect(String(stream.read()).split('\n')).toEqual([
      'snapshot   target 10%, 1 min 30 s left',
      'snapshot   target 60%, 7 s left',
      'snapshot   done in 6.0 s',
      'transform',
      '',
    ]);
  });

  it('says when nobody answers, after a while', async () => {
    const stream = new PassThrough();
    const progress = await Progress.open(stream as unknown as NodeJS.WriteStream);
    progress.show('no server');
    expect(stream.read()).toBeNull();
    vi.advanceTimersByTime(5_000);
    progress.show('no server');
    progress.show('no server');
    expect(String(stream.read())).toBe('the Temporal server does not answer; trying again\n');
  });
});
