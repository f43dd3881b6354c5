import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type EditSource, readEdits } from '../../config/edits.js';
import type { Edit } from '../../registry/edit.js';
import { HubferryError } from '../../registry/errors.js';
import { IMPORT_MODES } from '../../registry/modes.js';

const folder = mkdtempSync(join(tmpdir(), 'hubferry-edits-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

/** A list in a file, read to its end. */
async function read(
  text: string | Buffer,
  source: Omit<EditSource, 'file'> = { form: 'edits' },
  ending = 'jsonl',
): Promise<Edit[]> {
  files += 1;
  const file = join(folder, `${files}.${ending}`);
  writeFileSync(file, text);
  return await all([{ ...source, file }]);
}

async function all(sources: readonly EditSource[]): Promise<Edit[]> {
  const edits: Edit[] = [];
  for await (const edit of readEdits(sources)) edits.push(edit);
  return edits;
}

/** What is wrong with a list, without the names of files. */
async function faults(...args: Parameters<typeof read>): Promise<string[]> {
  const error: unknown = await read(...args).catch((reason: unknown) => reason);
  if (!(error instanceof HubferryError)) throw new Error('it was read');
  expect(error.code).toBe('EDIT_INVALID');
  return error.message.split('\n').map((line) => line.replaceAll(/\S*\/\d+\.(jsonl|csv):/g, ''));
}

const KEY = Buffer.alloc(32, 1).toString('base64');

describe('files that somebody else has made', () => {
  const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

  it('are UTF-8, or refused: a replaced character would be another record', async () => {
    const text = '{"id":"a"}\n{"id":"b","tags":{"x":"gr\u00fcn"}}\n';
    expect(await faults(latin1(text))).toEqual(['2: this is not UTF-8']);
    expect(await faults(latin1('id,tags.x\na,gr\u00fcn\n'), { form: 'edits' }, 'csv')).toEqual([
      '1: this is not UTF-8, or a line soon after it',
    ]);
    expect(
      await faults(Buffer.from('id,tags.x\na,gr\u00fcn\n').subarray(0, -3), { form: 'edits' }, 'csv'),
    ).toEqual(['2: this is not UTF-8, or a line soon after it']);
  });

  it('have lines of a size, of which no more is read', async () => {
    const long = `{"id":"a","tags":{"x":"${'x'.repeat(3 * 1024 * 1024)}"}}`;
    expect(await faults(`{"id":"b"}\n${long}`)).toEqual(['2: longer than 1048576 bytes']);
    expect(await faults(long)).toEqual(['1: longer than 1048576 bytes']);
  });

  it('hold each member once', async () => {
    expect(await faults('{"id":"a","id":"b"}')).toEqual(['1: id: this key is there twice']);
    expect(await faults(`{"id":"a","status":"disabled","st\\u0061tus":"enabled"}`)).toEqual([
      '1: status: this key is there twice',
    ]);
  });

  it('nest to a depth', async () => {
    const nested = (depth: number): string =>
      `{"id":"a","tags":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
    expect(await read(nested(90))).toHaveLength(1);
    expect(await faults(nested(10_000))).toEqual(['1: tags: nested deeper than 100 levels']);
    const cell = '['.repeat(10_000) + ']'.repeat(10_000);
    expect(await faults(`id,tags.x\na,${cell}\n`, { form: 'edits' }, 'csv')).toEqual([
      '2: tags: nested deeper than 100 levels',
    ]);
  });

  it('may name members like those of every object', async () => {
    const text = '{"id":"__proto__","tags":{"__proto__":{"polluted":1},"constructor":{"prototype":2}}}';
    expect(JSON.stringify(await read(text))).toBe(
      '[{"id":"__proto__","op":"create","tags":{"merge":{"__proto__":{"polluted":1},"constructor":{"prototype":2}}}}]',
    );
    expect(await faults('{"id":"a","__proto__":{"op":"delete"}}')).toHaveLength(1);
    const csv = await read(
      'id,tags.constructor.prototype.x,tags.toString\na,1,2\n',
      { form: 'edits' },
      'csv',
    );
    expect(JSON.stringify(csv)).toContain('{"constructor":{"prototype":{"x":1}},"toString":2}');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('lines of JSON', () => {
  it('say what becomes of a record', async () => {
    const text = `\uFEFF{"id":"a","tags":{"site":"x","old":null},"parent":null}\r\n\n
      {"id":"b","moduleId":"m","op":"update","primaryKey":"${KEY}","eTag":"AA"}
      {"id":"c","op":"delete"}
      {"id":"d","op":"upsert","authentication":"selfSigned","primaryThumbprint":"AB"}`;
    expect(await read(text)).toEqual([
      { id: 'a', op: 'create', tags: { merge: { site: 'x', old: null } }, parent: null },
      { id: 'b', moduleId: 'm', op: 'update', authentication: { primaryKey: KEY }, eTag: 'AA' },
      { id: 'c', op: 'delete' },
      { id: 'd', op: 'upsert', authentication: { type: 'selfSigned', primaryThumbprint: 'AB' } },
    ]);
  });

  it.each([
    ['{"id":"a"', ['1: this is not JSON']],
    ['[]', ['1: expected a JSON object']],
    ['{"op":"create"}', ['1: id: this key is missing']],
    ['{"id":"a","op":"remove"}', ['1: op: expected create, update, upsert, delete']],
    ['{"id":"a","kez":"SECRET"}', ['1: kez: unknown key']],
    ['{"id":"a","primaryKey":7}', ['1: primaryKey: expected a text']],
    ['{"id":"a","op":"update"}', ['1: it changes nothing']],
    ['{"id":"a","op":"delete","tags":{}}', ['1: tags: nothing of a record that is deleted can be changed']],
    ['{"id":"a","moduleId":"m","status":"enabled"}', ['1: status: a module has none']],
    ['{"id":"a","keys":"swap"}', ['1: keys: of a new record they are given, or made where none are']],
  ])('%s is no edit', async (text, words) => {
    expect(await faults(text)).toEqual(words);
  });

  it('name a record once; all faults are told at a time, ten at most', async () => {
    expect(await faults('{"id":"a"}\n{"id":"b"}\n{"id":"a","op":"delete"}\n{')).toEqual([
      '3: the same record as in 1; a run edits each once',
      '4: this is not JSON',
    ]);
    expect(await faults('x\n'.repeat(20))).toHaveLength(10);
    expect(await faults(`{"id":"${'a'.repeat(1024 * 1024)}"}`)).toEqual(['1: longer than 1048576 bytes']);
  });
});

describe('rows of CSV', () => {
  const csv = (text: string): Promise<Edit[]> => read(text, { form: 'edits' }, 'csv');

  it('say the same by columns; empty cells say nothing', async () => {
    const text =
      'id,op,status,statusReason,iotEdge,tags.site,tags.at.floor,desired.n\r\n' +
      'a,,disabled,"lost, or ""gone""",,0123,3,null\r\n' +
      'b,update,,,TRUE,"""7""",,\r\n';
    expect(await csv(text)).toEqual([
      {
        id: 'a',
        op: 'create',
        status: 'disabled',
        statusReason: 'lost, or "gone"',
        tags: { merge: { site: '0123', at: { floor: 3 } } },
        desired: { merge: { n: null } },
      },
      { id: 'b', op: 'update', iotEdge: true, tags: { merge: { site: '7' } } },
    ]);
  });

  it.each([
    ['op\nx', ['1: there is no column id']],
    ['id,statuss,tags.a b\na,,', ['1: column statuss is unknown', '1: column tags.a b is unknown']],
    ['id,id\na,b', ['1: column id is there twice']],
    ['id,op\na,create\nb', ['3: this is not CSV (CSV_RECORD_INCONSISTENT_FIELDS_LENGTH)']],
    ['id,op\n"a', ['2: this is not CSV (CSV_QUOTE_NOT_CLOSED)']],
    ['id,iotEdge\na,yes', ['2: iotEdge: expected true or false']],
  ])('%j is no list', async (text, words) => {
    expect(await faults(text, { form: 'edits' }, 'csv')).toEqual(words);
  });
});

describe('ids', () => {
  const action = { op: 'update', status: 'disabled' } as const;

  it('share one action', async () => {
    expect(await read('a\n b/m \n\n', { form: 'ids', action: { op: 'delete' } })).toEqual([
      { id: 'a', op: 'delete' },
      { id: 'b', moduleId: 'm', op: 'delete' },
    ]);
  });

  it('are of devices or modules', async () => {
    expect(await faults('/m\na/\na/b/c', { form: 'ids', action })).toEqual(
      [1, 2, 3].map((line) => `${line}: expected the id of a device, or DEVICE/MODULE`),
    );
    expect(await faults('a\na/m', { form: 'ids', action })).toEqual(['2: status: a module has none']);
  });
});

describe('lines of an import', () => {
  const lines = (...values: object[]): Promise<Edit[]> =>
    read(values.map((value) => JSON.stringify(value)).join('\n'), { form: 'import' });

  it('mean what they mean to the service: createOrUpdate without a mode, and the whole twin', async () => {
    const key = { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } };
    expect(
      await lines(
        { id: 'a', status: 'disabled', authentication: key, tags: { t: 1 }, eTag: 'x' },
        { id: 'b', status: 'enabled', importMode: 'UpdateIfMatchETag', eTag: 'AA', deviceScope: 'scope' },
        { id: 'c', status: 'enabled', importMode: 'delete', eTag: 'AA' },
        { id: 'd', moduleId: 'm', importMode: 'updateTwin', properties: { desired: { n: 1 } } },
        { id: 'e', status: 'enabled', capabilities: { iotEdge: true }, parentScopes: ['p'] },
      ),
    ).toMatchObject([
      {
        op: 'upsert',
        mode: 'createOrUpdate',
        status: 'disabled',
        statusReason: '',
        authentication: { type: 'sas', primaryKey: KEY, primaryThumbprint: null },
        tags: { replace: '{"t":1}' },
        parentScope: null,
      },
      { op: 'update', mode: 'updateIfMatchETag', eTag: 'AA', parentScope: 'scope' },
      { id: 'c', op: 'delete', mode: 'delete' },
      { id: 'd', moduleId: 'm', op: 'update', mode: 'updateTwin', desired: { replace: '{"n":1}' } },
      { id: 'e', iotEdge: true, parentScope: 'p' },
    ]);
    expect(await lines({ id: 'c', status: 'enabled', importMode: 'delete', eTag: 'AA' })).toEqual([
      { id: 'c', op: 'delete', mode: 'delete' },
    ]);
  });

  it('may get a mode where they have none', async () => {
    const text = '{"id":"a","status":"enabled"}\n{"id":"b","status":"enabled","importMode":"delete"}';
    const edits = await read(text, { form: 'import', mode: 'create' });
    expect(edits.map(({ op, mode }) => [op, mode])).toEqual([
      ['create', 'create'],
      ['delete', 'delete'],
    ]);
  });

  it.each([
    [{ id: 'a', status: 'enabled', importMode: 'merge' }, `importMode: expected ${IMPORT_MODES.join(', ')}`],
    [{ id: 'a' }, 'status: every line of a device needs one'],
    [{ id: 'a', status: 'enabled', secret: 1 }, 'secret: edit cannot send this'],
    [{ id: 'a', status: 'off' }, 'The line of "a" is damaged: "status" is neither enabled nor disabled.'],
    [{ id: 'a', status: 'enabled', importMode: 'updateTwin' }, 'it changes nothing'],
  ])('%j cannot be sent', async (value, words) => {
    expect(await faults(JSON.stringify(value), { form: 'import' })).toEqual([`1: ${words}`]);
  });
});

describe('a mode for a list', () => {
  it.each(IMPORT_MODES)('%s says what is done', async (mode) => {
    const twin = mode.startsWith('delete') ? {} : { tags: { a: 1 } };
    const [edit] = await read(JSON.stringify({ id: 'a', ...twin }), { form: 'edits', mode });
    expect(edit).toMatchObject({ id: 'a', mode });
    expect(mode.toLowerCase()).toContain((edit?.op ?? '').replace('upsert', 'createorupdate'));
  });

  it('must be able to do it', async () => {
    expect(await faults('{"id":"a","op":"delete"}', { form: 'edits', mode: 'update' })).toEqual([
      '1: mode update cannot carry out the operation delete',
    ]);
    expect(
      await faults('{"id":"a","status":"disabled"}', { form: 'edits', mode: 'updateTwinIfMatchETag' }),
    ).toEqual(['1: status: mode updateTwinIfMatchETag writes the twin only']);
  });
});

it('a file that is not there is said so', async () => {
  const file = join(folder, 'none.csv');
  for (const form of ['edits', 'ids', 'import'] as const)
    await expect(all([{ file, form }])).rejects.toThrow('none.csv: there is no such file');
});
