import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { checkCommand } from '../../client/check.js';
import { reportText } from '../../client/print.js';
import { emptyReport } from '../../workflows/messages.js';

const folder = mkdtempSync(join(tmpdir(), 'hubferry-probe-'));
const path = join(folder, 'hubferry.yaml');
afterAll(() => rmSync(folder, { recursive: true }));
// Names that cannot be resolved: whoever asked them would fail in another way.
writeFileSync(
  path,
  `hubs:
  prod: { hostName: prod.invalid }
  kept: { hostName: kept.invalid, role: scratch, readOnly: true }
  scratch: { hostName: scratch.invalid, role: scratch }
storage: { accountUrl: https://account.invalid }
temporal: { address: "nowhere.invalid:7233" }
`,
);

it.each([
  [['--probe', 'prod'], 'HUB_NOT_SCRATCH'],
  [['--probe', 'kept'], 'HUB_READ_ONLY'],
  [['--probe', 'nobody'], 'HUB_UNKNOWN'],
  [['prod', '--probe', 'scratch'], 'USAGE'],
])('check %j is refused before any call', async (args, code) => {
  const checked = checkCommand().parseAsync([...args, '--config', path], { from: 'user' });
  await expect(checked).rejects.toMatchObject({ code });
});

it('prints question, answer and assumption within 80 columns', () => {
  const report = emptyReport({ run: 'r', workflow: 'probe', source: 'probe', target: 'scratch.invalid' });
  report.outcome = 'done';
  report.probe = [
    { question: 'tags of an update', answer: 'merged', assumed: 'replaced; merged ones are mended' },
    { question: 'a line of $edgeAgent', answer: 'refused (401100), as it was long ago', assumed: 'refused' },
  ];
  const lines = reportText(report, 80).split('\n');
  const first = lines.findIndex((line) => line.includes('what hubferry assumes'));
  expect(lines.slice(first + 1, first + 5)).toEqual([
    '    tags of an update     merged',
    '                          assumed: replaced; merged ones are mended',
    '    a line of $edgeAgent  refused (401100), as it was long ago',
    '                          assumed: refused',
  ]);
});
