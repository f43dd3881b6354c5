import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { SnapshotInfo } from '../../activities/backup-export.js';
import { DEVICES_BLOB, MANIFEST_BLOB, writeEdges } from '../../activities/work.js';
import { reportText } from '../../client/print.js';
import { plain } from '../../report/format.js';
import { FAST, openTestStand, sharedServices, type TestStand, testRun } from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());

/** A snapshot of these bytes, as one that was taken long ago and has been in many hands. */
async function stored(bytes: Buffer): Promise<string> {
  const id = `hf-${testRun()}-1-1`;
  await stand.storage.createContainer(id);
  const writer = stand.storage.writer(id, DEVICES_BLOB);
  await writer.write(bytes);
  await writer.close();
  await writeEdges(stand.storage, id, []);
  const records = bytes.toString('latin1').split('\n').length - 1;
  const info: SnapshotInfo = {
    id,
    host: 'old.localhost',
    taken: new Date().toISOString(),
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    keys: true,
    records,
    devices: records,
    modules: 0,
    systemModules: 0,
    edges: 0,
    longLines: 0,
  };
  await stand.storage.writeText(id, MANIFEST_BLOB, JSON.stringify(info));
  return id;
}

const line = (id: string, members: string): string =>
  `{"id":${JSON.stringify(id)},"status":"enabled","authentication":{"type":"certificateAuthority"},${members}}`;

const DEEP = 10_000;
const ESCAPE = '\u001b';

/** Lines that no service writes but any hand can, and what becomes of each: what the target holds, or a code. */
const LINES: readonly (readonly [what: string, id: string, members: string, fate: string])[] = [
  ['a name twice in tags', 'twice', '"tags":{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'],
  [
    'lone surrogates',
    'surrogates',
    String.raw`"tags":{"a":"\ud800x","\udc00":"\uDBFF"}`,
    String.raw`{"a":"\ud800x","\udc00":"\udbff"}`,
  ],
  [
    'numbers of every spelling',
    'numbers',
    '"tags":{"a":[1E5,-0.0,1.50,1e-7,1.7E+3]}',
    '{"a":[100000,0,1.5,1e-7,1700]}',
  ],
  ['a formula as an id', "=cmd('/c calc'!A0)".replaceAll(/[ /]/g, '+'), '"tags":{}', '{}'],
  ['an id that leaves a quoted text', "a';--", '"tags":{}', '{}'],
  ['an id that is a pattern', '(.*)+$', '"tags":{"{{id}}":"$&$1"}', '{"{{id}}":"$&$1"}'],
  ['markup in a tag', 'markup', '"tags":{"a":"</script><img src=x>"}', '{"a":"</script><img src=x>"}'],
  ['an expression in a tag', 'expression', `"tags":{"a":"\${jndi:x}{{7*7}}"}`, '{"a":"${jndi:x}{{7*7}}"}'],
  ['an integer too large', 'large', '"tags":{"a":12345678901234567890}', 'TWIN_NUMBER_OUT_OF_RANGE'],
  ['objects nested deep', 'objects', `"tags":${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`, 'TWIN_TOO_DEEP'],
  // Nothing documents a limit for lists, so it is sent; the hub says no.
  ['lists nested deep', 'lists', `"tags":{"a":${'['.repeat(DEEP)}${']'.repeat(DEEP)}}`, '400004'],
  ['a control character in a name', 'control', String.raw`"tags":{"\u001b[2J":1}`, 'TWIN_KEY_INVALID'],
  ['a line over the limit', 'long', `"tags":{"a":"${'x'.repeat(FAST.maxLineBytes)}"}`, 'LINE_TOO_LONG'],
  ['an id that steers a terminal', `a${ESCAPE}]0;owned\u0007`, '"tags":{}', 'ID_CHARACTERS'],
  ['an id with line ends', 'a\r\nb', '"tags":{}', 'ID_CHARACTERS'],
  ['an id that turns what follows', 'a\u202eb', '"tags":{}', 'ID_CHARACTERS'],
  ['an id that is a path', '../../hubferry/runs/x', '"tags":{}', 'ID_CHARACTERS'],
  ['an id with a lone surrogate', 'a\ud800', '"tags":{}', 'ID_CHARACTERS'],
  ['an id with a zero', 'a\u0000b', '"tags":{}', 'ID_CHARACTERS'],
];

it('hostile lines of a snapshot arrive as they are, or are refused by code', async () => {
  const bytes = Buffer.from(LINES.map(([, id, members]) => `${line(id, members)}\n`).join(''));
  const report = await stand.migrated({ source: { kind: 'snapshot', id: await stored(bytes) } });
  expect(report.error).toBeNull();
  const arrived = new Map([...stand.hub('new').dump()].map(({ deviceId, tags }) => [deviceId, tags]));
  const told = (await stand.storage.readText('hubferry', `reports/${report.run}.differences.ndjson`)) ?? '';
  const codes = new Map(
    told
      .split('\n')
      .filter((text) => text !== '')
      .map((text) => JSON.parse(text) as { record: string; code: string })
      .map(({ record, code }) => [record, code]),
  );
  for (const { record, code } of report.rejected) codes.set(record, code);
  const long = report.rejected.find(({ code }) => code === 'LINE_TOO_LONG');
  const fates = LINES.map(([what, id]) => {
    const tags = arrived.get(id);
    const code = what === 'a line over the limit' ? long?.code : codes.get(id);
    return [what, tags === undefined ? code : JSON.stringify(tags)];
  });
  expect(fates).toEqual(LINES.map(([what, , , fate]) => [what, fate]));
  expect(report.outcome).toBe('differences');
  const shown = reportText(report);
  expect(shown.split('\n').filter((text) => plain(text) !== text)).toEqual([]);
});

it.each([
  ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]), 'SNAPSHOT_LINE_NOT_JSON'],
  ['a member twice', Buffer.from(line('a', '"tags":{},"tags":{"a":1}')), 'SNAPSHOT_LINE_BAD_FIELD'],
  [
    'a record twice',
    Buffer.from(`${line('a', '"tags":{}')}\n${line('a', '"tags":{}')}`),
    'SNAPSHOT_DUPLICATE',
  ],
])('%s is damage, and nothing is written', async (_what, bytes, code) => {
  const before = stand.hub('new').store.deviceCount;
  const id = await stored(Buffer.concat([bytes, Buffer.from('\n')]));
  const report = await stand.migrated({ goal: 'plan', source: { kind: 'snapshot', id } });
  expect(report).toMatchObject({ outcome: 'failed', error: { code } });
  expect(stand.hub('new').store.deviceCount).toBe(before);
});
