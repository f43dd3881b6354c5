import { describe, expect, test } from 'vitest';
import { compilePredicate } from '../../config/predicate.js';
import {
  type Edit,
  type EditContext,
  type Edited,
  EditedEdges,
  editedPartition,
} from '../../registry/edit.js';
import { parseLine } from '../../registry/line.js';
import type { RegistryRecord } from '../../registry/record.js';
import { type Rule, Rules } from '../../registry/rules.js';
import { type EdgeRow, EdgeTable, edgeRow } from '../../registry/scopes.js';

const key = (n: number): string => Buffer.alloc(32, n).toString('base64');
const auth = (n: number) => ({
  symmetricKey: { primaryKey: key(n), secondaryKey: key(n + 1) },
  x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
  type: 'sas',
});
const line = (members: object): string =>
  JSON.stringify({ eTag: 'MQ==', twinETag: 'Mg==', status: 'enabled', authentication: auth(1), ...members });

const hub = [
  line({ id: 'gw', capabilities: { iotEdge: true }, deviceScope: 'scope-gw' }),
  line({ id: 'gw', moduleId: '$edgeAgent', authentication: { type: 'none' } }),
  line({ id: 'leaf', deviceScope: 'scope-gw' }),
  `{"id":"twin","status":"enabled","eTag":"MQ==","authentication":${JSON.stringify(auth(1))},"tags":{"n":1.0,"a":{"b":1e2}}}`,
  line({ id: 'twin', moduleId: 'm' }),
  line({ id: 'x509', authentication: { type: 'certificateAuthority' } }),
];
const rows = [edgeRow(parseLine(hub[0] ?? ''))];

function apply(edits: readonly Edit[], rules: readonly Rule[] = [], lines = hub): Edited[] {
  const edges = EdgeTable.of(rows);
  const after = new EditedEdges(rows, edges);
  for (const edit of edits) after.add(edit);
  const context: EditContext = {
    edges,
    edgesAfter: EdgeTable.of(after.rows()),
    rules: new Rules(rules, compilePredicate),
    makeKeys: () => ({ primaryKey: key(50), secondaryKey: key(51) }),
  };
  return [...editedPartition(lines, edits, context)];
}

/** What became of each record that is not left alone. */
function fates(edited: readonly Edited[]): Record<string, string> {
  const shown = edited.flatMap((one): [string, string][] => {
    if (one.kind === 'untouched' || one.kind === 'system') return [];
    const { deviceId, moduleId } = one.kind === 'refused' ? one : one.record;
    const name = moduleId === null ? deviceId : `${deviceId}/${moduleId}`;
    return [[name, one.kind === 'refused' ? one.refusal.code : one.kind]];
  });
  return Object.fromEntries(shown);
}

function recordOf(edits: readonly Edit[], rules: readonly Rule[] = []): RegistryRecord {
  const found = apply(edits, rules).filter((one) => one.kind === 'desired');
  const [only] = found;
  if (only === undefined || found.length !== 1) throw new Error(`${found.length} records`);
  return only.record;
}

describe('an edit of the list', () => {
  test('touches what it names; the rest of the hub is left alone', () => {
    const edited = apply([{ id: 'leaf', op: 'update', status: 'disabled' }]);
    expect(edited.map(({ kind }) => kind).toSorted()).toEqual(
      ['desired', 'system', 'untouched', 'untouched', 'untouched', 'untouched'].toSorted(),
    );
    expect(edited.find(({ kind }) => kind === 'desired')).toMatchObject({ parent: 'gw', isNew: false });
  });

  test('merges twins as the service does, and leaves the rest byte for byte', () => {
    const edit: Edit = {
      id: 'twin',
      op: 'update',
      tags: { merge: { a: { c: { d: null, e: 2 } }, gone: null, n: { new: 'x' } } },
    };
    expect(recordOf([edit]).raw.tags).toBe('{"n":{"new":"x"},"a":{"b":1e2,"c":{"e":2}}}');
    const replaced = recordOf([{ id: 'twin', op: 'update', tags: { replace: '{"z":1.50}' } }]);
    expect(replaced).toMatchObject({ tags: { z: 1.5 }, raw: { tags: '{"z":1.50}' } });
    const removed = recordOf([{ id: 'twin', op: 'update', tags: { merge: { a: null } } }]);
    expect(removed.raw.tags).toBe('{"n":1.0}');
  });

  test('makes a record, with keys that are made where none are given', () => {
    expect(recordOf([{ id: 'new', op: 'create', parent: 'gw' }])).toMatchObject({
      deviceId: 'new',
      status: 'enabled',
      authentication: { type: 'sas', primaryKey: key(50), secondaryKey: key(51) },
    });
    const given = recordOf([
      { id: 'new', op: 'upsert', authentication: { primaryKey: key(7), secondaryKey: key(8) } },
    ]);
    expect(given.authentication).toMatchObject({ type: 'sas', primaryKey: key(7) });
    const x509 = recordOf([{ id: 'new', op: 'create', authentication: { primaryThumbprint: 'AB' } }]);
    expect(x509.authentication).toMatchObject({ type: 'selfSigned', primaryKey: null });
  });

  test('assigns, renews and exchanges keys', () => {
    const keysOf = (edit: Omit<Edit, 'id' | 'op'>) => {
      const { primaryKey, secondaryKey } =
        recordOf([{ id: 'leaf', op: 'update', ...edit }]).authentication ?? {};
      return [primaryKey, secondaryKey];
    };
    expect(keysOf({ authentication: { primaryKey: key(9) } })).toEqual([key(9), key(2)]);
    expect(keysOf({ keys: 'regenerate' })).toEqual([key(50), key(51)]);
    expect(keysOf({ keys: 'regenerate-primary' })).toEqual([key(50), key(2)]);
    expect(keysOf({ keys: 'regenerate-secondary' })).toEqual([key(1), key(51)]);
    expect(keysOf({ keys: 'swap' })).toEqual([key(2), key(1)]);
    expect(keysOf({ authentication: { type: 'certificateAuthority' } })).toEqual([null, null]);
    const sas = recordOf([{ id: 'x509', op: 'update', authentication: { type: 'sas' } }]);
    expect(sas.authentication).toMatchObject({ type: 'sas', primaryKey: key(50) });
  });

  test('moves devices by the id of their parent, or by its scope, also below one that is made', () => {
    const parentOf = (edits: Edit[]): (string | null)[] =>
      apply(edits).flatMap((one) => (one.kind === 'desired' ? [one.parent] : []));
    expect(parentOf([{ id: 'leaf', op: 'update', parent: null }])).toEqual([null]);
    expect(parentOf([{ id: 'twin', op: 'update', parentScope: 'scope-gw' }])).toEqual(['gw']);
    const nested: Edit[] = [
      { id: 'child', op: 'create', iotEdge: true, parent: 'new-gw' },
      { id: 'new-gw', op: 'create', iotEdge: true },
    ];
    expect(parentOf(nested)).toEqual(['new-gw', null]);
    const edges = new EditedEdges(rows, EdgeTable.of(rows));
    for (const edit of nested) edges.add(edit);
    const table = EdgeTable.of(edges.rows());
    expect(['gw', 'new-gw', 'child'].map((id) => table.levelOf(id))).toEqual([0, 0, 1]);
    for (const edit of [
      { id: 'new-gw', op: 'delete' },
      { id: 'gw', op: 'update', iotEdge: false },
    ] as const)
      edges.add(edit);
    expect(edges.rows().map(({ id }: EdgeRow) => id)).toEqual(['child']);
  });

  test('deletes a device with its modules', () => {
    const edited = apply([
      { id: 'twin', op: 'delete' },
      { id: 'gw', op: 'delete', mode: 'delete' },
      { id: 'twin', moduleId: 'other', op: 'create' },
    ]);
    expect(fates(edited)).toEqual({
      twin: 'removed',
      'twin/m': 'gone',
      gw: 'removed',
      'gw/$edgeAgent': 'gone',
      'twin/other': 'DEVICE_MISSING',
    });
  });

  test.each<[string, Edit]>([
    ['RECORD_EXISTS', { id: 'leaf', op: 'create' }],
    ['RECORD_MISSING', { id: 'nobody', op: 'update', status: 'enabled' }],
    ['RECORD_MISSING', { id: 'leaf', moduleId: 'm', op: 'delete' }],
    ['ETAG_DIFFERS', { id: 'leaf', op: 'delete', eTag: 'Mw==' }],
    ['ETAG_DIFFERS', { id: 'leaf', op: 'update', tags: { merge: { a: 1 } }, twinETag: 'MQ==' }],
    ['SYSTEM_MODULE', { id: 'gw', moduleId: '$edgeAgent', op: 'update', tags: { merge: { a: 1 } } }],
    ['SYSTEM_MODULE', { id: 'leaf', moduleId: '$edgeHub', op: 'create' }],
    ['KEYS_NOT_SYMMETRIC', { id: 'x509', op: 'update', keys: 'swap' }],
    ['PARENT_UNKNOWN', { id: 'leaf', op: 'update', parent: 'twin' }],
    ['PARENT_UNKNOWN', { id: 'leaf', op: 'update', parentScope: 'scope-of-nobody' }],
    ['PARENT_CYCLE', { id: 'gw', op: 'update', parent: 'gw' }],
    ['TWIN_NUMBER_OUT_OF_RANGE', { id: 'twin', op: 'update', tags: { merge: { n: 2 ** 53 } } }],
    ['KEYS_INVALID', { id: 'leaf', op: 'update', authentication: { primaryKey: 'short' } }],
  ])('is refused as %s: %j', (code, edit) => {
    expect(Object.values(fates(apply([edit])))).toEqual([code]);
  });

  test.each(['MQ==', '"MQ=="', '*'])('with the ETag %s is carried out', (eTag) => {
    expect(fates(apply([{ id: 'leaf', op: 'delete', eTag }]))).toEqual({ leaf: 'removed' });
  });
});

describe('rules', () => {
  test('see each record as the list left it, and leave alone what they do not change', () => {
    const rules: Rule[] = [
      { when: 'has(tags.site)', then: { status: 'disabled' } },
      { when: 'kind == "module"', then: { delete: true } },
      { when: 'true', then: { status: 'enabled' } },
      { when: 'id == "leaf"', then: { keys: 'regenerate-primary' } },
    ];
    const list: Edit[] = [{ id: 'twin', op: 'update', tags: { merge: { site: 1 } } }];
    expect(fates(apply(list, rules))).toEqual({
      twin: 'desired',
      'twin/m': 'removed',
      leaf: 'desired',
    });
  });

  test('that delete take a device with its modules, and what the list would make is never made', () => {
    const rules: Rule[] = [{ when: 'id in ["twin", "new"]', then: { delete: true } }];
    expect(fates(apply([{ id: 'new', op: 'create' }], rules))).toEqual({
      twin: 'removed',
      'twin/m': 'gone',
      new: 'RECORD_MISSING',
    });
  });
});
