import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HubferryError } from '../../registry/errors.js';
import { HeadRecord, plainRecord } from '../../registry/head-line.js';
import { isPlainAndTaken, refusalOf } from '../../registry/limits.js';
import { parseDesiredLine, parseLine, printDesiredLine, splitParent } from '../../registry/line.js';
import { partitionOf, partitionOfBytes } from '../../registry/partition.js';
import { copyPieces, isOfPieces, newPieces, piecesOf } from '../../registry/pieces.js';
import { quickDesired, quickRecord } from '../../registry/quick-line.js';
import { isSystemModule, type RegistryRecord } from '../../registry/record.js';
import { bytesOf, newSpans, scanExported, scanHead } from '../../registry/scan-line.js';
import { EdgeTable, parentOf, placementRefusal } from '../../registry/scopes.js';
import { ids, lineParts, objectTexts, SEEDED } from './arbitraries.js';
import {
  AUTHORITY,
  authentication,
  expectSame,
  exportLine,
  KEY_A,
  lineBytes,
  NO_AUTHENTICATION,
  SAS,
  SELF_SIGNED,
} from './records.js';

/** Keys of 32 bytes each, as hubs make them. */
const PLAIN_SAS = authentication({ type: 'sas', keys: [KEY_A, KEY_A] });

/** What `parseLine` says of a line, or the code of its error. */
function exactly(line: string): RegistryRecord | string {
  try {
    return parseLine(line);
  } catch (error) {
    if (error instanceof HubferryError) return error.code;
    throw error;
  }
}

const recordIn = (line: string) => {
  const bytes = bytesOf(line);
  return bytes && quickRecord(bytes);
};

const desiredIn = (line: string) => {
  const bytes = bytesOf(line);
  return bytes && quickDesired(bytes);
};

/** Where a quick reader answers, it answers the same as the exact one. @returns whether it did */
function expectEqual(line: string): boolean {
  const quick = recordIn(line);
  if (quick === null) return false;
  const exact = exactly(line);
  if (typeof exact === 'string') throw new Error(`${exact}, but it was read: ${line}`);
  expectSame(plainRecord(quick), exact);
  expectSame(refusalOf(quick), refusalOf(exact));
  return true;
}

/** Values without anything that a quick reader does not take. */
const plainObjects: fc.Arbitrary<string> = fc
  .dictionary(
    fc.string({ unit: fc.constantFrom(...Array.from("abzAZ09_-'#é東")), maxLength: 6 }),
    fc.oneof(
      fc.string({ unit: fc.constantFrom(...Array.from('abz {}[]:,.$é😀')), maxLength: 20 }),
      fc.integer({ min: -1_000_000, max: 1_000_000 }),
      fc.boolean(),
      fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 3 }),
      fc.dictionary(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 }), fc.boolean()),
    ),
    { maxKeys: 5 },
  )
  .map((value) => JSON.stringify(value));

const plainLines = fc
  .record({
    id: ids,
    moduleId: fc.option(ids, { nil: undefined }),
    status: fc.constantFrom('enabled' as const, 'disabled' as const),
    authenticationText: fc.constantFrom(SAS, SELF_SIGNED, AUTHORITY, NO_AUTHENTICATION),
    tagsText: plainObjects,
    desiredText: plainObjects,
    iotEdge: fc.boolean(),
    deviceScope: fc.constantFrom('ms-azure-iot-edge://a-1', '', null, undefined),
    parentScopes: fc.constantFrom(['ms-azure-iot-edge://a-1'], [], [''], undefined),
  })
  .map(exportLine);

const ODD = [
  '',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  ' ',
  '0',
  '-',
  '.5',
  'null',
  'true',
  '\u0000',
  '\t',
  '$',
  '"a":1,',
  ',"id":"x"',
  '"\\u0041"',
  '12345678901234567890',
  '01',
  '-0',
  '1e5',
  '\uFEFF',
  '\ud800',
];

/** A line with something in it that does not belong there. */
const damaged = fc
  .tuple(plainLines, fc.nat(), fc.constantFrom(...ODD), fc.integer({ min: 0, max: 3 }))
  .map(([line, where, insert, cut]) => {
    const at = where % (line.length + 1);
    return line.slice(0, at) + insert + line.slice(at + cut);
  });

const property = (lines: fc.Arbitrary<string>, numRuns: number): void =>
  fc.assert(
    fc.property(lines, (line) => void expectEqual(line)),
    { ...SEEDED, numRuns },
  );

describe('what is read quickly is what is parsed', () => {
  test('plain lines, all of which are read quickly', () => {
    fc.assert(
      fc.property(plainLines, (line) => {
        expect(expectEqual(line), line).toBe(true);
      }),
      { ...SEEDED, numRuns: 2_000 },
    );
  });

  test('lines of all kinds', () => property(lineParts.map(exportLine), 2_000));

  test('lines with damage anywhere', () => property(damaged, 10_000));

  test('a name that stands twice, members in another order, and other members are left to the parser', () => {
    const line = exportLine({ id: 'a' });
    const others = [
      line.replace('"status"', '"id":"a","status"'),
      line.replace('"eTag":"MTAx",', '').replace('{', '{"eTag":"MTAx",'),
      line.replace(/\}$/, ',"more":1}'),
    ];
    expect(others.map(recordIn)).toEqual(others.map(() => null));
  });

  test('limits of a twin hold where they are not looked at', () => {
    const text = (units: number): string => `"${'😀'.repeat(units / 2)}"`;
    const twins = [
      `{"a":${text(682)}}`,
      `{"a":${text(2_000)}}`,
      `{"${'n'.repeat(340)}":1}`,
      `{"${'é'.repeat(600)}":1}`,
      `{"a":[${Array.from({ length: 1_000 }, () => 1).join(',')}]}`,
      `{"a":[${Array.from({ length: 4_000 }, () => 1).join(',')}]}`,
      '{"a":4503599627370496}',
      '{"a":{"b":{"c":{"d":{"e":1}}}}}',
      '{"a.b":1}',
      '{"a":null}',
    ];
    for (const twin of twins)
      for (const part of ['tagsText', 'desiredText'] as const)
        expectEqual(exportLine({ id: 'a', [part]: twin }));
  });
});

describe('desired lines', () => {
  const desired = fc
    .tuple(fc.oneof(plainLines, lineParts.map(exportLine)), fc.option(ids, { nil: null }))
    .map(([line, parent]) => printDesiredLine(parseLine(line), parent));

  const parsed = (line: string) => {
    const { parent, rest } = splitParent(line);
    return { record: parseLine(rest), parent };
  };

  test('are read as they are parsed', () => {
    fc.assert(
      fc.property(desired, (line) => {
        const quick = desiredIn(line);
        if (quick !== null)
          expectSame({ record: plainRecord(quick.record), parent: quick.parent }, parsed(line));
        const read = parseDesiredLine(line);
        if (read.kind === 'refused') throw new Error('it is no mark');
        expectSame({ record: plainRecord(read.record), parent: read.parent }, parsed(line));
      }),
      { ...SEEDED, numRuns: 2_000 },
    );
  });

  test('of plain lines are read quickly', () => {
    fc.assert(
      fc.property(plainLines, fc.option(ids, { nil: null }), (line, parent) => {
        expect(desiredIn(printDesiredLine(parseLine(line), parent))).not.toBeNull();
      }),
      SEEDED,
    );
  });

  test('of odd content are printed and read alike', () => {
    fc.assert(
      fc.property(objectTexts, (tagsText) => void expectEqual(exportLine({ id: 'a', tagsText }))),
      SEEDED,
    );
  });
});

describe('plain lines that are copied instead of read', () => {
  const spans = newSpans();
  const pieces = newPieces();
  const NO_EDGES = EdgeTable.of([]);

  /** The desired line that is put together of the pieces of a line, or null where it is not to be. */
  function copied(line: string): string | null {
    const bytes = lineBytes(line);
    if (!scanExported(bytes, spans) || !isPlainAndTaken(spans)) return null;
    const count = piecesOf(spans, pieces);
    if (count === 0) return null;
    const out = Buffer.alloc(bytes.bytes.length + 2);
    const text = out.toString('utf8', 0, copyPieces(bytes, pieces, count, out, 0));
    expect(isOfPieces(bytes, pieces, count, lineBytes(text))).toBe(true);
    return text;
  }

  /** @returns whether it was copied */
  function expectCopied(line: string): boolean {
    const text = copied(line);
    if (text === null) return false;
    const record = parseLine(line);
    expect(text).toBe(printDesiredLine(record, null));
    expect(refusalOf(record)).toBeNull();
    expect(placementRefusal(record, NO_EDGES)).toBeNull();
    expect(parentOf(record, NO_EDGES)).toEqual({ parent: null, stale: false });
    expect(isSystemModule(record)).toBe(false);
    expect(scanHead(lineBytes(text), spans), text).toBe(true);
    const found = new HeadRecord(record.deviceId, lineBytes(text));
    const { status, statusReason, authentication: how, tags, desired, raw } = found;
    expectSame(
      { status, statusReason, authentication: how, tags, desired, raw },
      {
        status: record.status,
        statusReason: record.statusReason,
        authentication: record.authentication,
        tags: record.tags,
        desired: record.desired,
        raw: record.raw,
      },
    );
    return true;
  }

  const usual = fc.record({
    id: ids,
    status: fc.constantFrom('enabled' as const, 'disabled' as const),
    statusReason: fc.constantFrom('', 'out of order', 'é'.repeat(64), 'x'.repeat(129)),
    authenticationText: fc.constantFrom(PLAIN_SAS, SAS),
    tagsText: plainObjects,
    desiredText: plainObjects,
    iotEdge: fc.boolean(),
    deviceScope: fc.constantFrom('ms-azure-iot-edge://a-1', '', null, undefined),
  });

  test('are what would be printed of their records, which the service takes', () => {
    fc.assert(
      fc.property(fc.oneof(usual.map(exportLine), plainLines, damaged), (line) => void expectCopied(line)),
      { ...SEEDED, numRuns: 5_000 },
    );
  });

  test('are those of devices with keys as hubs make them', () => {
    const plain = { id: 'a', authenticationText: PLAIN_SAS, statusReason: 'why' };
    expect(expectCopied(exportLine(plain))).toBe(true);
    const others = [
      { ...plain, authenticationText: SAS },
      { ...plain, iotEdge: true },
      { ...plain, moduleId: 'm' },
      { ...plain, deviceScope: 'ms-azure-iot-edge://a-1' },
      { ...plain, statusReason: 'x'.repeat(129) },
      { ...plain, tagsText: '{"a":null}' },
    ];
    expect(others.map((parts) => copied(exportLine(parts)))).toEqual(others.map(() => null));
  });

  test('go where their ids go', () => {
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 500 }), (id, partitions) => {
        const { bytes, from, to } = lineBytes(id);
        expect(partitionOfBytes(bytes, from, to, partitions)).toBe(partitionOf(id, partitions));
      }),
      SEEDED,
    );
  });
});
