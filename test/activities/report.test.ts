import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, it } from 'vitest';
import type { Deps } from '../../activities/deps.js';
import { reportActivities } from '../../activities/report.js';
import type { RunReport } from '../../workflows/messages.js';
import { differencesReport, plannedReport } from '../support/reports.js';

const LINES = Array.from({ length: 5_000 }, (_, i) =>
  JSON.stringify({ record: `press-${String(i).padStart(4, '0')}`, difference: 'missing' }),
).join('\n');

/** Writes a report into a storage of which only this is asked, and tells what was written and read. */
async function written(report: RunReport, { refused = /^$/ }: { readonly refused?: RegExp } = {}) {
  const blobs = new Map<string, string>();
  let read = 0;
  const storage = {
    createContainer: async () => true,
    size: async () => LINES.length,
    read: async function (_container: string, _blob: string, { count = LINES.length }: { count?: number }) {
      read += count;
      return [Buffer.from(LINES.slice(0, count))];
    },
    writeText: async (_container: string, blob: string, text: string) => {
      if (refused.test(blob)) throw new Error('no');
      blobs.set(blob, text);
      return true;
    },
  };
  const deps = {
    connections: { storage: () => storage },
    client: {
      withDeadline: (_deadline: number, ask: () => unknown) => ask(),
      connection: { workflowService: { getSystemInfo: async () => ({ serverVersion: '1.31.0' }) } },
    },
    version: '9.9.9',
  } as unknown as Deps;
  const activities = reportActivities(deps);
  await new MockActivityEnvironment().run(() => activities.writeReport({ account: 'a', report }));
  return { blobs, read };
}

it('the last word of a run comes with a page, and with the versions of those who wrote it', async () => {
  const { blobs, read } = await written(differencesReport());
  expect([...blobs.keys()]).toEqual([
    'runs/20260801-120000-ab12cd.json',
    'reports/20260801-120000-ab12cd.html',
  ]);
  const [json = '', page = ''] = blobs.values();
  expect(JSON.parse(json)).toMatchObject({ versions: { hubferry: '9.9.9', server: '1.31.0' } });
  expect(page).toContain('hubferry 9.9.9');
  expect(page).toContain('press-0002');
  expect(read).toBeLessThan(LINES.length);
});

it('a run that goes on has no page yet', async () => {
  const { blobs } = await written(plannedReport('parked'));
  expect([...blobs.keys()]).toEqual(['runs/20260801-120000-ab12cd.json']);
});

it('a page that cannot be made costs no run its report', async () => {
  const refused = await written(differencesReport(), { refused: /\.html$/ });
  expect([...refused.blobs.keys()]).toEqual(['runs/20260801-120000-ab12cd.json']);
  const odd = { ...differencesReport(), warnings: null } as unknown as RunReport;
  expect([...(await written(odd)).blobs.keys()]).toEqual(['runs/20260801-120000-ab12cd.json']);
});
