import { describe, expect, it } from 'vitest';
import { differingFields } from '../../registry/compare.js';
import { refusalOf } from '../../registry/limits.js';
import { printDesiredLine } from '../../registry/line.js';
import { lineIsToGenerate, toGenerate, withKeptKeys, withNewKeys } from '../../registry/new-keys.js';
import { EdgeTable } from '../../registry/scopes.js';
import { AUTHORITY, KEY_A, KEY_B, record, SELF_SIGNED } from './records.js';

const wanted = toGenerate(record({ id: 'd', tagsText: '{"n":1.50}' }));
const line = printDesiredLine(wanted, 'gw');
const fields = (theirs: Parameters<typeof record>[0]) =>
  differingFields(wanted, null, record(theirs), EdgeTable.of([]));

describe('keys to be made', () => {
  it('are told by the line, not by what a twin holds', () => {
    expect(lineIsToGenerate(line)).toBe(true);
    const [, mark = ''] = /("authentication":\{.*\}),"tags"/.exec(line) ?? [];
    const fake = printDesiredLine(record({ id: 'd', tagsText: `{${mark}}` }), null);
    expect(fake).toContain(mark);
    expect(lineIsToGenerate(fake)).toBe(false);
  });

  it('are put in their place, and all else stays', () => {
    const made = withNewKeys(line, KEY_A, KEY_B);
    expect(made).toBe(
      line.replace('"generated"', JSON.stringify(KEY_A)).replace('"generated"', JSON.stringify(KEY_B)),
    );
    expect(lineIsToGenerate(made)).toBe(false);
  });

  it('are no reason to refuse a record', () => expect(refusalOf(wanted)).toBeNull());

  it('are equal to any keys, but not to a certificate', () => {
    expect(fields({ id: 'd', tagsText: '{"n":1.5}' })).toEqual([]);
    expect(fields({ id: 'd', tagsText: '{"n":1.5}', authenticationText: AUTHORITY })).toContain(
      'authentication.type',
    );
  });

  it('are not made where an update finds some', () => {
    const theirs = record({ id: 'd' });
    expect(withKeptKeys(line, theirs)).toBe(withNewKeys(line, KEY_A, KEY_B));
    expect(withKeptKeys(line, record({ id: 'd', authenticationText: SELF_SIGNED }))).toBe(line);
    const other = printDesiredLine(record({ id: 'd' }), null);
    expect(withKeptKeys(other, theirs)).toBe(other);
  });
});
