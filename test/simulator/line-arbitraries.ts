import * as fc from 'fast-check';
import type { FleetRecord } from '../../simulator/index.js';
import { importModes } from '../../simulator/jobs/import-line.js';
import type { JsonObject } from '../../simulator/json.js';

/** The seed of every property, so that a failing run is the same run again. */
export const seed = 20_260_801;

/** A line of devices.txt as an import takes it. */
export interface ImportedLine {
  id: string;
  moduleId?: string;
  importMode?: string;
  status: string;
  statusReason?: string;
  eTag?: string;
  twinETag?: string;
  authentication?: JsonObject | null;
  tags?: JsonObject;
  properties?: { desired?: JsonObject; reported?: JsonObject };
  capabilities?: { iotEdge: boolean };
  deviceScope?: string;
  parentScopes?: string[];
}

/** Whether an etag in a line fits the record that it meets. */
type EtagKind = 'current' | 'stale' | undefined;

/** A line before it meets a hub: its etags depend on what the hub has. */
export interface LineDraft extends ImportedLine {
  etagKind: EtagKind;
  twinEtagKind: EtagKind;
}

const key = (fill: number): string => Buffer.alloc(32, fill).toString('base64');

/** Keys of lines and of {@link startingFleet}; all other keys were made by a hub. */
export const givenKeys: readonly string[] = [1, 2, 3, 4, 5, 6].map(key);

const sas = (fill: number): JsonObject => ({
  type: 'sas',
  symmetricKey: { primaryKey: key(fill), secondaryKey: key(fill + 1) },
});

const generation = (n: number): string => `6400000000000000${n}0`;
const scope = (id: string, n: number): string => `ms-azure-iot-edge://${id}-${generation(n)}`;

/** What is in both hubs before the imports: the same generation ids, so that scopes in lines fit both. */
export const startingFleet: readonly FleetRecord[] = [
  {
    deviceId: 'edge-1',
    iotEdge: true,
    generationId: generation(1),
    tags: { t: { a: 1, b: 2 } },
    reported: { kept: true },
    authentication: { type: 'sas', primaryKey: key(5), secondaryKey: key(6) },
  },
  { deviceId: 'edge-2', iotEdge: true, generationId: generation(2), parent: 'edge-1', statusReason: 'why' },
  {
    deviceId: 'leaf-1',
    generationId: generation(3),
    parent: 'edge-2',
    status: 'disabled',
    desired: { d: { x: [1, 2], y: 'text' } },
    authentication: { type: 'certificateAuthority' },
  },
  {
    deviceId: 'leaf-1',
    moduleId: 'm1',
    generationId: generation(4),
    managedBy: 'backend',
    tags: { t: 1 },
    desired: { d: 2 },
  },
  { deviceId: "odd%25#?*$'@;,=", generationId: generation(5) },
];

const deviceIds = ['edge-1', 'edge-2', 'leaf-1', "odd%25#?*$'@;,=", 'new-1', 'new-2'];
const scopes = [scope('edge-1', 1), scope('edge-2', 2), 'ms-azure-iot-edge://gone-1', ''];

const plainValues: fc.Arbitrary<JsonObject[string]> = fc.constantFrom<JsonObject[string]>(
  0,
  -1.5,
  'text',
  true,
  [1, { deep: 'er' }],
  {},
);
const { section: plainSections } = fc.letrec<{ section: JsonObject; value: JsonObject[string] }>((tie) => ({
  section: fc.dictionary(fc.constantFrom('a', 'b', 't', 'd', 'x', '__proto__'), tie('value'), { maxKeys: 3 }),
  value: fc.oneof({ maxDepth: 3, depthSize: 'small' }, plainValues, tie('section')),
}));

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

const authentications = fc.oneof(
  fc.constantFrom<JsonObject | null | undefined>(
    sas(1),
    sas(3),
    { type: 'certificateAuthority' },
    null,
    undefined,
  ),
  fc.constantFrom<JsonObject>(
    { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'AB'.repeat(20), secondaryThumbprint: null } },
    { symmetricKey: { primaryKey: key(1), secondaryKey: key(4) } },
  ),
);

const modes = fc.oneof(
  fc.constantFrom<string | undefined>(...importModes, undefined),
  fc.constantFrom('Create', 'UPDATE', 'UpdateTwin', 'createorupdate'),
);

/**
 * Lines about a handful of devices and their modules, in every mode: what they ask for may be possible or not, but all
 * are well formed.
 */
export const lineDrafts: fc.Arbitrary<LineDraft> = fc
  .record({
    id: fc.constantFrom(...deviceIds),
    moduleId: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, fc.constantFrom('m1', 'm%2F!'), {
      weight: 1,
      arbitrary: fc.constantFrom('m1', '$edgeAgent'),
    }),
    importMode: modes,
    status: fc.constantFrom('enabled', 'disabled', 'Enabled'),
    statusReason: optional(fc.constantFrom('why', 'größe "x"', '')),
    authentication: authentications,
    tags: optional(plainSections),
    desired: optional(plainSections),
    reported: optional(plainSections),
    iotEdge: optional(fc.boolean()),
    deviceScope: optional(fc.constantFrom(...scopes)),
    parentScopes: optional(fc.array(fc.constantFrom(...scopes.slice(0, 3)), { maxLength: 1 })),
    etagKind: fc.constantFrom<EtagKind>('current', 'current', 'stale', undefined),
    twinEtagKind: fc.constantFrom<EtagKind>('current', undefined, undefined, 'stale'),
  })
  .map(({ desired, reported, iotEdge, ...line }) => {
    const properties = desired === undefined && reported === undefined ? undefined : { desired, reported };
    const capabilities = iotEdge === undefined ? undefined : { iotEdge };
    // What is undefined is not there.
    const plain = JSON.parse(JSON.stringify({ ...line, properties, capabilities })) as LineDraft;
    return plain;
  });

/** Files of lines, to be imported one after the other. */
export const importFiles: fc.Arbitrary<LineDraft[][]> = fc.array(
  fc.array(lineDrafts, { minLength: 1, maxLength: 7 }),
  { minLength: 1, maxLength: 3 },
);

// ----- lines that are hostile in their text, but valid

/** Every character that an id may have (§1.7). */
const idCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:.+%_#*?!(),=@;$'";

const hostileIds = fc.oneof(
  fc.string({ unit: fc.constantFrom(...Array.from(idCharacters)), minLength: 1, maxLength: 128 }),
  fc.constantFrom(idCharacters, 'x'.repeat(128), '__proto__', 'constructor', '%2F', '..', '.', '0'),
);

const hostileTexts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '\u2028',
    '\u2029',
    '\u0085',
    '\r\n',
    '\n{"id":"x","status":"enabled"}\n',
    '"',
    '\\',
    '\\"',
    '\\u0000',
    '\u0000',
    '\uFEFF',
    '\ud800',
    'https://x/?a=<b>&c',
    '👩‍🔧',
    'é'.normalize('NFD'),
  ),
);

/** Keys of twins: no control characters, no `.`, `$`, `#` and space (§5). */
const hostileKeys = fc.oneof(
  hostileTexts.map((text) => text.replaceAll(/[\p{Cc}.$# ]/gu, '_')),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length', '', '0', '01', '-1'),
);

const hostileNumbers = fc.oneof(
  fc.constantFrom(0, -0, 0.1, -0.001, 1e308, 5e-324, 1e21, -1e300, 1.5e-7, 2 ** -1074),
  fc.constantFrom(4503599627370495, -4503599627370496),
  fc.integer({ min: -4503599627370496, max: 4503599627370495 }),
  fc.double({ min: -1, max: 1, noNaN: true }),
);

const { section: hostileSections } = fc.letrec<{ section: JsonObject; value: JsonObject[string] }>((tie) => ({
  section: fc
    .array(fc.tuple(hostileKeys, tie('value')), { maxLength: 4 })
    // Object.fromEntries makes `__proto__` an own key, as JSON.parse does.
    .map((entries): JsonObject => Object.fromEntries(entries)),
  value: fc.oneof(
    { maxDepth: 6, depthSize: 'small' },
    hostileTexts,
    hostileNumbers,
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('section'),
  ),
}));

const hostileKeysOfDevices = fc
  .uint8Array({ minLength: 16, maxLength: 64 })
  .map((bytes) => Buffer.from(bytes).toString('base64'));
const thumbprints = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

const fullAuthentications = fc.oneof(
  fc.tuple(hostileKeysOfDevices, hostileKeysOfDevices).map(([primaryKey, secondaryKey]) => ({
    symmetricKey: { primaryKey, secondaryKey },
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
    type: 'sas',
  })),
  fc.tuple(thumbprints, fc.option(thumbprints)).map(([primaryThumbprint, secondaryThumbprint]) => ({
    symmetricKey: { primaryKey: null, secondaryKey: null },
    x509Thumbprint: { primaryThumbprint, secondaryThumbprint },
    type: 'selfSigned',
  })),
  fc.constant({
    symmetricKey: { primaryKey: null, secondaryKey: null },
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
    type: 'certificateAuthority',
  }),
);

const contents = {
  status: fc.constantFrom('enabled', 'disabled'),
  authentication: fullAuthentications,
  tags: hostileSections,
  properties: fc.record({ desired: hostileSections, reported: fc.constant({}) }),
};

const deviceLines: fc.Arbitrary<ImportedLine> = fc
  .record({
    id: hostileIds,
    ...contents,
    statusReason: optional(hostileTexts),
    capabilities: fc.record({ iotEdge: fc.boolean() }),
    deviceScope: optional(hostileTexts.filter((text) => text !== '')),
  })
  .map((line) => JSON.parse(JSON.stringify(line)) as ImportedLine);

const moduleParts = fc.record({
  // A leading dollar sign is reserved for system modules.
  moduleId: hostileIds.filter((id) => !id.startsWith('$')),
  ...contents,
});

/** A file as an export could have written it: devices, each followed by its modules; no id comes twice. */
export const hostileFiles: fc.Arbitrary<ImportedLine[]> = fc
  .uniqueArray(
    fc.tuple(
      deviceLines,
      fc.uniqueArray(moduleParts, { maxLength: 2, selector: ({ moduleId }) => moduleId }),
    ),
    { minLength: 1, maxLength: 6, selector: ([device]) => device.id },
  )
  .map((families) =>
    families.flatMap(([device, modules]): ImportedLine[] => [
      device,
      ...modules.map((module) => ({
        id: device.id,
        ...module,
        // Modules have no status of their own.
        status: 'enabled',
        capabilities: { iotEdge: false },
      })),
    ]),
  );

/** A text of JSON with every character beyond ASCII escaped, which means the same. */
export function escapeAll(json: string): string {
  return json.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
