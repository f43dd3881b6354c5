import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { foundText, gcCommand, removedText } from '../../client/gc.js';
import type { Leftover } from '../../registry/leftovers.js';

const RUN = '20260801-120000-ab12cd';
const OTHER = '20260801-130000-ef34gh';
const LOST = 'its run is lost: it ended without a last word';

const container = (n: number): Leftover => ({
  kind: 'container',
  name: `hf-${RUN}-${String(n).padStart(4, '0')}-1`,
  run: RUN,
  why: LOST,
});
const elsewhere: Leftover = {
  kind: 'owner',
  name: 'plant-north-eu.azure-devices.net',
  run: OTHER,
  why: `may go on under Temporal server temporal.example:7233/default; if it is lost: hubferry gc --run ${OTHER}`,
};

describe('gc', () => {
  it('shows what is left behind by run, and what stays with the reason, within 80 columns', () => {
    const access: Leftover = { kind: 'access', name: 'jobs-old', run: RUN, why: LOST };
    const nobody: Leftover = { kind: 'owner', name: 'x\u001b[31m', run: null, why: 'nobody can say' };
    const remove = [...Array.from({ length: 10 }, (_, n) => container(n)), access];
    const lines = foundText({ remove, keep: [elsewhere, nobody], more: 7 }, 80).split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect([...lines.slice(0, 3), ...lines.slice(11)]).toEqual([
      'Left behind, and needed by nobody:',
      `  run ${RUN}: ${LOST}`,
      `    container  hf-${RUN}-0000-1`,
      `    container  hf-${RUN}-0009-1`,
      '    and 1 more',
      '',
      'Stays, since it may be needed:',
      `  run ${OTHER}: may go on under Temporal server`,
      `    temporal.example:7233/default; if it is lost: hubferry gc --run`,
      `    ${OTHER}`,
      '    hold on    plant-north-eu.azure-devices.net',
      '  nobody can say',
      expect.stringMatching(/^ {4}hold on {4}x[^\p{Cc}]*$/u),
      '',
      'And 7 more, which the next look shows.',
    ]);
  });

  it('says that nothing is left behind, and what was removed', () => {
    expect(foundText({ remove: [], keep: [], more: 0 }, 80)).toBe('Nothing is left behind.');
    expect(removedText(3, [], 80)).toBe('Removed: 3 of 3.');
    const stays = { ...container(1), why: 'somebody else has it by now' };
    expect(removedText(3, [stays], 80).split('\n')).toEqual([
      'Removed: 2 of 3.',
      'Stays after all:',
      `  run ${RUN}: somebody else has it by now`,
      `    container  hf-${RUN}-0001-1`,
    ]);
  });

  const folder = mkdtempSync(join(tmpdir(), 'hubferry-gc-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    [['--run', '20260801'], 'USAGE'],
    [[], 'TEMPORAL_UNREACHABLE'],
  ])('%j: does nothing', async (args, code) => {
    const path = join(folder, 'hubferry.yaml');
    writeFileSync(
      path,
      `hubs: { old: { hostName: old.invalid } }
storage: { accountUrl: https://account.invalid }
temporal: { address: "nowhere.invalid:7233" }
`,
    );
    const done = gcCommand().parseAsync([...args, '--config', path], { from: 'user' });
    await expect(done).rejects.toMatchObject({ code });
  });
});
