import { expect, test } from 'vitest';
import { contentOf } from '../../registry/content.js';
import { saltedDigest } from '../../registry/digest.js';
import { parseLine } from '../../registry/line.js';
import type { ChangeKind } from '../../registry/reconcile.js';
import { mergedChange, type Placed, undoingOf } from '../../registry/undo.js';

const digestOf = (content: string): string => saltedDigest('salt', content);
const placed = (level: number, parent: string | null = null): Placed => ({
  record: parseLine(JSON.stringify({ id: 'a', status: 'enabled', tags: { level } })),
  parent,
});
const left = placed(2);
const undoing = (kind: ChangeKind, before: Placed | null, now: Placed | null): string => {
  const held = (one: Placed | null): string | null => one && contentOf(one.record, one.parent);
  const digest = kind === 'delete' ? null : digestOf(contentOf(left.record, left.parent));
  return undoingOf({ kind, digest }, held(before), held(now), digestOf);
};

test.each([
  ['create', null, left, 'remove'],
  ['create', null, null, 'as before'],
  ['create', null, placed(3), 'foreign'],
  ['create', null, placed(2, 'edge'), 'foreign'],
  ['update', placed(1), left, 'restore'],
  ['update', placed(1), placed(1), 'as before'],
  ['update', placed(1), placed(3), 'foreign'],
  ['update', placed(1), null, 'foreign'],
  ['update', null, left, 'foreign'],
  ['delete', placed(1), null, 'restore'],
  ['delete', placed(1), placed(1), 'as before'],
  ['delete', placed(1), placed(3), 'foreign'],
] as const)('a %s of %j that is %j now: %s', (kind, before, now, expected) => {
  expect(undoing(kind, before, now)).toBe(expected);
});

test.each([
  [undefined, 'create', 'create'],
  ['create', 'update', 'create'],
  ['create', 'create', 'create'],
  ['create', 'delete', null],
  ['update', 'update', 'update'],
  ['update', 'delete', 'delete'],
  ['update', 'create', 'update'],
  ['delete', 'create', 'update'],
] as const)('what stays of a plan: %s, then %s, is %s', (first, second, merged) => {
  const of = (kind: ChangeKind, digest: string) => ({ kind, digest });
  const both = mergedChange(first && of(first, 'first'), of(second, 'second'));
  expect(both).toEqual(merged && of(merged, 'second'));
});
