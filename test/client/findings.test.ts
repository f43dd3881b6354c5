import { expect, it } from 'vitest';
import type { Finding } from '../../activities/check.js';
import { findingsText } from '../../client/findings.js';

const good = (subject: string, check: string, detail: string): Finding => ({
  subject,
  check,
  ok: true,
  code: null,
  detail,
  hint: null,
});
const bad: Finding = {
  subject: 'old.example',
  check: 'write devices',
  ok: false,
  code: 'HUB_UNAUTHORIZED',
  detail: 'HUB_UNAUTHORIZED: old.example with policy "service" cannot write devices (HTTP 401): \u001b[31mno',
  hint: 'Check key and policy (iothubowner has all rights), or the identity’s role (IoT Hub Data Contributor).',
};
const nameOf = (subject: string): string => (subject === 'old.example' ? 'hub old' : subject);

it('is a table: a block for each subject, and below a failure what to do', () => {
  const text = findingsText(
    [good('storage', 'reach', 'answers'), good('old.example', 'query', 'allowed'), bad],
    nameOf,
    80,
  );
  expect(text.split('\n')).toEqual([
    '          check          what came of it',
    'storage',
    '  ok      reach          answers',
    'hub old',
    '  ok      query          allowed',
    '  FAILED  write devices  HUB_UNAUTHORIZED: old.example with policy "service"',
    '                         cannot write devices (HTTP 401): \\x1b[31mno',
    '                         Check key and policy (iothubowner has all rights), or',
    '                         the identity’s role (IoT Hub Data Contributor).',
    '',
    '1 of 3 checks failed: write devices (hub old).',
  ]);
});

it('says when all is well', () => {
  expect(findingsText([good('storage', 'reach', 'answers')], nameOf, 80)).toMatch(
    /\n\nAll 1 checks passed\.$/,
  );
});

it('tells what to mind although it did not fail', () => {
  const kept: Finding = {
    ...good('storage', 'deleted blobs', 'DELETED_BLOBS_KEPT: kept for 7 days'),
    warning: 'DELETED_BLOBS_KEPT',
    hint: 'Switch it off.',
  };
  expect(
    findingsText([good('storage', 'reach', 'answers'), kept], nameOf, 80)
      .split('\n')
      .slice(2),
  ).toEqual([
    '  ok       reach          answers',
    '  WARNING  deleted blobs  DELETED_BLOBS_KEPT: kept for 7 days',
    '                          Switch it off.',
    '',
    'All 2 checks passed. 1 of them with a warning.',
  ]);
});
