import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { METRICS, type MetricInfo } from '../../registry/metrics.js';
import { createLogger } from '../../worker/log.js';
import { metricsPlaceFree } from '../../worker/metrics.js';
import { freePort } from '../../worker/port.js';
import type { RunReport } from '../../workflows/messages.js';
import { openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

const folder = mkdtempSync(join(tmpdir(), 'hubferry-telemetry-'));
const logFile = join(folder, 'worker.log');
const APPLY = 'POST /devices/{id}/applyConfigurationContent';

let stand: TestStand;
let report: RunReport;
let scraped: string;
let logged: Record<string, unknown>[];

beforeAll(async () => {
  const metricsAddress = `127.0.0.1:${await freePort()}`;
  const log = createLogger({ fd: openSync(logFile, 'a') });
  // So few calls in a minute that the turn after a refused one is a second away, however busy this machine is.
  const telemetry = { log, metricsAddress, rates: 5 };
  stand = await openTestStand(sharedServices(inject), undefined, {}, '', telemetry);
  stand.hub('old').load([
    { deviceId: 'secret-name-1', iotEdge: true },
    {
      deviceId: 'secret-name-1',
      moduleId: '$edgeAgent',
      desired: { a: 1 },
      authentication: { type: 'none' },
    },
    { deviceId: 'secret-name-2', parent: 'secret-name-1' },
    { deviceId: 'secret-name-3' },
  ]);
  stand.hub('new').addFault({ kind: 'status', status: 429, route: APPLY, times: 1 });
  // The back-off is a matter of chance: after a short one the next call has to wait for its turn, too.
  const chance = vi.spyOn(Math, 'random').mockReturnValue(0.01);
  report = await stand.migrated().finally(() => chance.mockRestore());
  // The worker tells the log and the meter of a run's end after it has told the server.
  await until('the end is told', () => readFileSync(logFile, 'utf8').includes('run ended'));
  const answer = await fetch(`http://${metricsAddress}/metrics`);
  scraped = await answer.text();
  logged = readFileSync(logFile, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
});
afterAll(async () => {
  await stand.close();
  rmSync(folder, { recursive: true });
});

/** The values of a metric, by the labels that are named. */
function values(name: string, ...labels: string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [, text = '', value = ''] of scraped.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm'))) {
    const told = Object.fromEntries(
      [...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', word = '']) => [label, word]),
    );
    const key = labels.map((label) => told[label]).join(' ');
    found[key] = (found[key] ?? 0) + Number(value);
  }
  return found;
}

describe('metrics', () => {
  it('stand beside Temporal’s own on one port', () => {
    expect(report.outcome).toBe('verified');
    expect(scraped).toMatch(/^temporal_activity_execution_latency_seconds_count\{/m);
    expect(scraped).toMatch(/^temporal_workflow_completed_total\{/m);
  });

  it('tell what was moved, in which jobs, and how it ended', () => {
    const host = stand.config.hubs.get('new')?.host ?? '';
    const old = stand.config.hubs.get('old')?.host ?? '';
    expect(values('hubferry_runs_total', 'workflow', 'outcome')).toEqual({ 'migrate verified': 1 });
    expect(values('hubferry_lines_total', 'hub', 'outcome')).toEqual({ [`${host} applied`]: 3 });
    const imports = report.jobs.filter(({ type }) => type === 'import').length;
    expect(values('hubferry_chunks_total', 'hub', 'outcome')).toEqual({ [`${host} completed`]: imports });
    const jobs = values('hubferry_job_seconds_count', 'hub', 'type', 'outcome');
    expect(jobs[`${host} import completed`]).toBe(imports);
    expect(jobs[`${old} export completed`]).toBe(1);
    const records = values('hubferry_records_total', 'stage');
    expect(records).toMatchObject({ transform: 5, send: 3 });
    expect(records['snapshot']).toBeGreaterThanOrEqual(5);
    expect(records['compare']).toBeGreaterThanOrEqual(3);
    expect(values('hubferry_stage_seconds_count', 'stage')).toMatchObject({ apply: 1, verify: 1 });
  });

  it('tell of throttling and of the calls of each hub', () => {
    const host = stand.config.hubs.get('new')?.host ?? '';
    expect(values('hubferry_throttles_total', 'hub')).toEqual({ [host]: 1 });
    expect(values('hubferry_backoff_seconds_count', 'code')).toEqual({ HUB_THROTTLED: 1 });
    expect(values('hubferry_backoff_seconds_sum', 'code')['HUB_THROTTLED']).toBeGreaterThan(0);
    const calls = values('hubferry_hub_calls_total', 'hub', 'kind');
    const { jobs, polls, other } = report.hubCalls[host] ?? { jobs: 0, polls: 0, other: 0 };
    expect(calls).toMatchObject({
      [`${host} jobs`]: jobs,
      [`${host} polls`]: polls,
      [`${host} other`]: other,
    });
  });

  it('are the ones that the code lists, with the labels it lists and no name of a device', () => {
    const shown = new Set([...scraped.matchAll(/^# TYPE (hubferry_\w+)/gm)].map(([, name = '']) => name));
    const listed = Object.entries<MetricInfo>(METRICS).map(([name, { kind }]) =>
      kind === 'counter' ? `${name}_total` : name,
    );
    expect([...shown].toSorted()).toEqual(listed.toSorted());
    for (const [name, { kind, labels }] of Object.entries<MetricInfo>(METRICS)) {
      const suffix = kind === 'counter' ? '_total' : '_count';
      const [, first = ''] = new RegExp(`^${name}${suffix}\\{(.*)\\}`, 'm').exec(scraped) ?? [];
      const told = [...first.matchAll(/(\w+)="/g)].map(([, label = '']) => label);
      expect(told, name).toEqual(expect.arrayContaining([...labels]));
    }
    expect(scraped).not.toContain('secret-name');
  });
});

describe('the log', () => {
  const lines = (message: string): Record<string, unknown>[] => logged.filter(({ msg }) => msg === message);

  it('tells a run from its beginning to its end, stage by stage', () => {
    const { run, target: hub } = report;
    expect(lines('run begins')).toMatchObject([{ level: 'info', run, hub, stage: 'preflight' }]);
    expect(lines('run ended')).toMatchObject([{ run, hub, stage: 'ended', outcome: 'verified' }]);
    const stages = lines('stage begins').map(({ stage }) => stage);
    expect(stages.slice(0, 3)).toEqual(['snapshot', 'transform', 'plan']);
    expect(stages).toEqual(expect.arrayContaining(['apply', 'verify', 'report']));
  });

  it('tells every job of every hub, and every chunk', () => {
    const { run, jobs } = report;
    const ended = lines('job ended');
    expect(lines('job begins')).toHaveLength(jobs.length);
    expect(ended).toHaveLength(jobs.length);
    for (const line of ended)
      expect(line).toMatchObject({ run, hub: expect.any(String), outcome: 'completed' });
    expect(ended.map(({ seconds }) => typeof seconds)).toEqual(jobs.map(() => 'number'));
    const sent = lines('chunk sent');
    expect(sent).toHaveLength(jobs.filter(({ type }) => type === 'import').length);
    for (const line of sent)
      expect(line).toMatchObject({ run, hub: report.target, stage: 'apply', rejected: 0 });
  });
});

describe('a port for metrics', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    port = address !== null && typeof address === 'object' ? address.port : 0;
  });
  afterAll(() => void server.close());

  it('that is taken, or of another machine, is told before anything begins', async () => {
    const taken = { code: 'METRICS_NOT_SERVED', message: expect.stringContaining('another process listens') };
    await expect(metricsPlaceFree(`127.0.0.1:${port}`)).rejects.toMatchObject(taken);
    await expect(metricsPlaceFree(`192.0.2.1:${port}`)).rejects.toMatchObject({
      message: expect.stringContaining('EADDRNOTAVAIL'),
    });
    await metricsPlaceFree(`127.0.0.1:${await freePort()}`);
  });
});
