import { describe, expect, it } from 'vitest';
import { parseRules, rulesSchema } from '../../config/rules.js';
import type { RecordView } from '../../registry/rules.js';
import { blocks, read, section } from './pages.js';

const PAGE = read('docs/rules.md');

/** The names in the first column of a section's first table. */
function listed(heading: string): string[] {
  const rows = section(PAGE, heading)
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([\w.]+)/g)].map(([, name = '']) => name),
  );
}

describe('docs/rules.md', () => {
  it.each(blocks(PAGE, 'yaml').map((text) => [text]))('shows rules that are: %s', (text) => {
    expect(parseRules('rules.yaml', text).length).toBeGreaterThan(0);
  });

  it('lists every name that an expression may use', () => {
    const names: Record<keyof RecordView, true> = {
      kind: true,
      id: true,
      moduleId: true,
      status: true,
      statusReason: true,
      authentication: true,
      iotEdge: true,
      parent: true,
      tags: true,
      desired: true,
    };
    expect(listed('## Expressions').map((name) => name.split('.')[0])).toEqual(Object.keys(names));
    for (const name of listed('## Expressions')) {
      expect(() => parseRules('', `[{ when: "dyn(${name}) == 1", then: { exclude: true } }]`)).not.toThrow();
    }
  });

  it('lists every action', () => {
    const actions = Object.keys(rulesSchema.element.shape.then.shape);
    expect(listed('## Actions').slice(0, actions.length).toSorted()).toEqual(actions.toSorted());
  });
});
