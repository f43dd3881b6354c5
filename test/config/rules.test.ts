import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compilePredicate } from '../../config/predicate.js';
import { loadRules, parseRules, rulesJsonSchema } from '../../config/rules.js';
import type { RecordView } from '../../registry/rules.js';
import { thrown } from '../registry/records.js';

const folder = mkdtempSync(join(tmpdir(), 'hubferry-rules-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The lines of what is wrong with a text. */
const faults = (text: string): string[] => {
  const error = thrown(() => parseRules('r.yaml', text));
  expect(error.code).toBe('RULE_INVALID');
  return error.message.split('\n');
};

describe('a rules file', () => {
  it('is a list of rules', () => {
    expect(parseRules('r.yaml', '')).toEqual([]);
    expect(
      parseRules(
        'r.yaml',
        `- name: n\n  when: iotEdge\n  then: { tags: { set: { a.b: [1, x, {c: true}] } } }`,
      ),
    ).toEqual([{ name: 'n', when: 'iotEdge', then: { tags: { set: { 'a.b': [1, 'x', { c: true }] } } } }]);
  });

  it('says what is wrong by line, column and rule, all of it at once', () => {
    const text = [
      '- name: first',
      '  when: "true"',
      '  then: { excluded: true }',
      '- when: "true"',
      '  then:',
      '    status: broken',
      '    rename: "{{name}}"',
      '    tags: { remove: ["a b"] }',
      '- when: "true"',
      '  then: {}',
    ].join('\n');
    expect(faults(text)).toEqual([
      'r.yaml:3:3: rule 1 ("first"), then: expected an action',
      'r.yaml:3:11: rule 1 ("first"), then.excluded: unknown key',
      'r.yaml:6:13: rule 2, then.status: expected enabled, disabled',
      'r.yaml:7:13: rule 2, then.rename: a template knows {{id}} and nothing else',
      'r.yaml:8:22: rule 2, then.tags.remove.0: expected a path such as site or location.floor, of names without $ and spaces',
      'r.yaml:10:3: rule 3, then: expected an action',
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['no YAML', '"x', /^r\.yaml:1:3: .*\(MISSING_CHAR\)$/],
    ['no list', 'a: 1', /^r\.yaml:1:1: expected a list$/],
    ['a rule that is none', '- 3', /^r\.yaml:1:3: rule 1: expected keys and values$/],
    ['no expression', '- then: { exclude: true }', /^r\.yaml:1:3: rule 1, when: this key is missing$/],
    [
      'include and exclude',
      '- { when: iotEdge, then: { include: true, exclude: true } }',
      /exclude each other$/,
    ],
    [
      'null in a twin',
      '- { when: iotEdge, then: { tags: { set: { a: { b: null } } } } }',
      /cannot hold null/,
    ],
    ['nothing to edit', '- { when: iotEdge, then: { tags: { set: {} } } }', /something to set or to remove$/],
    [
      'no number',
      '- { when: iotEdge, then: { tags: { set: { a: .nan } } } }',
      /this value cannot be used here$/,
    ],
    [
      '__proto__',
      '- { when: iotEdge, then: { tags: { set: { __proto__: 1 } } } }',
      /this name cannot be used here$/,
    ],
    [
      'a pattern that is none',
      '- { when: iotEdge, then: { rename: { match: "(", to: x } } }',
      /then\.rename/,
    ],
  ])('is refused with %s', (_what, text, message) => expect(faults(text).join('\n')).toMatch(message));

  it.each<[string, string]>([
    ['foo == 1', 'r.yaml:1:9: rule 1, when: Unknown variable: foo (in foo)'],
    ['id == 1', 'r.yaml:1:9: rule 1, when: no such overload: string == int'],
    ['id', 'r.yaml:1:9: rule 1, when: it gives string, not true or false'],
    ['id ==', 'r.yaml:1:9: rule 1, when: Unexpected token: EOF'],
    ['authentication.primaryKey == id', 'r.yaml:1:9: rule 1, when: No such key: primaryKey (in primaryKey)'],
    [
      'status.startsWith(1)',
      "r.yaml:1:9: rule 1, when: found no matching overload for 'string.startsWith(int)'",
    ],
  ])('whose expression is %s is refused', (when, message) => {
    expect(faults(`- when: ${when}\n  then: { exclude: true }`)).toEqual([message]);
  });

  it('that is not there, or too large, is told by name', () => {
    expect(thrown(() => loadRules('none.yaml', 'copy', folder))).toMatchObject({
      code: 'RULE_INVALID',
      message: 'none.yaml: there is no such file',
    });
    writeFileSync(join(folder, 'large.yaml'), `# ${'x'.repeat(256 * 1024)}`);
    expect(thrown(() => loadRules('large.yaml', 'copy', folder)).message).toMatch(
      /^large\.yaml: larger than 256 KB/,
    );
    const name = 'x'.repeat(50_000);
    const text = `- { when: iotEdge, then: { tags: { set: { a: &a ${name}, b: *a, c: *a, d: *a, e: *a, f: *a } } } }`;
    expect(thrown(() => parseRules('r.yaml', text)).message).toMatch(/larger than 256 KB/);
  });

  it('has a JSON Schema', () => {
    expect(rulesJsonSchema()).toMatchObject({
      type: 'array',
      items: { required: ['when', 'then'], properties: { then: { additionalProperties: false } } },
    });
  });
});

describe('an expression', () => {
  const view = (more: Partial<RecordView> = {}): RecordView => ({
    kind: 'device',
    id: 'pump-7',
    moduleId: null,
    status: 'enabled',
    statusReason: '',
    authentication: { type: 'sas' },
    iotEdge: false,
    parent: null,
    tags: { site: 'eu', floor: 3, list: ['a', 'b'], on: true, deep: { a: { b: 1 } } },
    desired: {},
    ...more,
  });

  it.each<[string, boolean]>([
    ["kind == 'device' && moduleId == null && parent == null", true],
    ["authentication.type == 'sas'", true],
    ["id.matches('^pump-[0-9]+$')", true],
    ['tags.floor == 3 && tags.floor > 2 && tags.floor < 3.5', true],
    ["tags.?line.orValue('') == 'x'", false],
    ['has(tags.line)', false],
    ["'b' in tags.list", true],
    ["tags.list.exists(x, x.startsWith('c'))", false],
    ['tags.on', true],
    ['tags.deep.a.b == 1 && size(desired) == 0', true],
    ["has(tags.constructor) || 'toString' in tags", false],
  ])('%s is %s', (when, value) => expect(compilePredicate(when)(view())).toBe(value));

  it.each<[string, RegExp]>([
    ["tags.line == 'x'", /^No such key: line/],
    ['tags.floor', /neither true nor false/],
    ["tags.floor.startsWith('x')", /no matching overload/],
    ["id.matches('(')", /Invalid regular expression/],
  ])('%s fails on the record', (when, message) => {
    expect(() => compilePredicate(when)(view())).toThrow(message);
  });
});

it.each([
  ['copy', 'delete: true', '1:27: rule 1, then.delete: only edit can do this'],
  ['copy', 'keys: regenerate-primary', '1:27: rule 1, then.keys: only edit can do this'],
  [
    'edit',
    'exclude: true',
    '1:27: rule 1, then.exclude: edit cannot do this: it changes records where they are',
  ],
  ['edit', 'rename: x', '1:27: rule 1, then.rename: edit cannot do this: it changes records where they are'],
] as const)('for %s, %s is no action', (use, action, words) => {
  const text = `[{ when: 'true', then: {  ${action} } }]`;
  expect(thrown(() => parseRules('r.yaml', text, use)).message).toBe(`r.yaml:${words}`);
  const other = use === 'copy' ? 'edit' : 'copy';
  expect(parseRules('r.yaml', text, other)).toHaveLength(1);
});
