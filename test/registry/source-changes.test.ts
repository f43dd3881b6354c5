import { expect, test } from 'vitest';
import { parseConfiguration } from '../../registry/configurations.js';
import { printDesiredLine } from '../../registry/line.js';
import { comparePartition } from '../../registry/reconcile.js';
import { EdgeTable } from '../../registry/scopes.js';
import { changesIn, kindsOf, SourceDifference } from '../../registry/source-changes.js';
import { exportLine, KEY_B, type LineParts, lineBytes, NO_AUTHENTICATION, record, SAS } from './records.js';

function difference(before: readonly LineParts[], after: readonly LineParts[]): SourceDifference {
  const sum = new SourceDifference();
  const sides = {
    desired: before.map((parts) => lineBytes(printDesiredLine(record(parts), null))),
    actual: after.map((parts) => lineBytes(exportLine(parts))),
    actualEdges: EdgeTable.of([]),
  };
  for (const found of comparePartition(sides)) sum.add(found);
  return sum;
}

test('counts what was created, deleted and changed, by kind', () => {
  const agent = { id: 'edge', moduleId: '$edgeAgent', authenticationText: NO_AUTHENTICATION };
  const sum = difference(
    [
      { id: 'same' },
      { id: 'gone' },
      { id: 'gone', moduleId: 'm' },
      { id: 'edge', iotEdge: true },
      { ...agent, desiredText: '{"a":1}' },
      { id: 'tagged' },
    ],
    [
      { id: 'same' },
      { id: 'edge', iotEdge: true, authenticationText: SAS.replace(KEY_B, `${KEY_B.slice(0, -4)}ZQ==`) },
      { ...agent, desiredText: '{"a":2}' },
      { id: 'edge', moduleId: '$edgeHub', authenticationText: NO_AUTHENTICATION },
      { id: 'tagged', tagsText: '{"new":true}', status: 'disabled' },
      { id: 'fresh' },
      { id: 'fresh', moduleId: 'm' },
    ],
  );
  const { changes, samples } = sum.result();
  expect(changes).toEqual({
    devices: { created: 1, deleted: 1, changed: 2 },
    modules: { created: 1, deleted: 1, changed: 0 },
    systemModules: { created: 1, deleted: 0, changed: 1 },
    configurations: null,
  });
  expect(changesIn(changes)).toBe(8);
  expect(samples).toHaveLength(5);
  expect(samples[0]).toBe('gone deleted');
  expect(samples).toContain('edge changed: authentication.secondaryKey');
  expect(samples).toContain('tagged changed: status, tags');
  expect(samples.join()).not.toContain(KEY_B.slice(0, 8));
});

test('counts configurations, where the hub tells them', () => {
  const configuration = (id: string, priority = 1) =>
    parseConfiguration(JSON.stringify({ id, priority, content: {}, targetCondition: "tags.a='b'" }));
  const sum = new SourceDifference();
  sum.configurations(
    [configuration('same'), configuration('gone'), configuration('changed')],
    [configuration('changed', 2), configuration('same'), configuration('fresh')],
  );
  const { changes, samples } = sum.result();
  expect(changes.configurations).toEqual({ created: 1, deleted: 1, changed: 1 });
  expect(kindsOf(changes).map(([name]) => name)).toContain('configurations');
  expect(samples).toEqual([
    'configuration gone deleted',
    'configuration changed changed: priority',
    'configuration fresh created',
  ]);
});
