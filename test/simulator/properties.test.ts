import type { ContainerClient } from '@azure/storage-blob';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { FullRecord, HubSettings, SimulatedHub } from '../../simulator/index.js';
import type { JsonObject } from '../../simulator/json.js';
import { splitLines } from '../../simulator/lines.js';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { asText, RestClient } from './client.js';
import {
  escapeAll,
  givenKeys,
  hostileFiles,
  type ImportedLine,
  importFiles,
  type LineDraft,
  seed,
  startingFleet,
} from './line-arbitraries.js';
import { type Stand, startStand } from './stand.js';

// Seconds on an idle machine; on a busy one a property must not end in the middle of a job.
vi.setConfig({ testTimeout: 180_000 });

let azurite: Azurite;
let stand: Stand;
let container: ContainerClient;
let other: SimulatedHub;
let rest: RestClient;

beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand()]);
  container = await azurite.container('fleet');
  other = stand.sim.hub('b');
  rest = new RestClient(stand.sim, other);
});
afterAll(async () => {
  rest.close();
  await stand.close();
  await azurite.stop();
});

/** Empties both hubs and fills them alike. */
function startAgain(change: Partial<HubSettings> = {}): void {
  for (const hub of [stand.hub, other]) {
    hub.reset();
    hub.set(change);
  }
}

const keyOf = (line: { id: string; moduleId?: string }): string =>
  line.moduleId === undefined ? line.id : `${line.id}/${line.moduleId}`;

/** Imports lines into hub `a`. @returns the keys that the error log names. */
async function importTexts(texts: readonly string[]): Promise<string[]> {
  await writeBlob(container, 'devices.txt', texts.map((text) => `${text}\r\n`).join(''));
  const uri = azurite.uri(container);
  const job = await stand.client.job({
    type: 'import',
    inputBlobContainerUri: uri,
    outputBlobContainerUri: uri,
  });
  expect(job.status).toBe('completed');
  const log = await readBlob(container, 'importErrors.log');
  return log
    .split('\r\n')
    .filter((text) => text !== '')
    .map((text) => {
      const { deviceId, moduleId } = JSON.parse(text) as { deviceId?: string; moduleId?: string };
      if (deviceId === undefined) throw new Error(text);
      return keyOf({ id: deviceId, ...(moduleId === undefined ? {} : { moduleId }) });
    });
}

/** The line with the etags that the hub has now, or others. */
function meet(hub: SimulatedHub, { etagKind, twinEtagKind, ...line }: LineDraft): ImportedLine {
  const record = hub.record(line.id, line.moduleId);
  const pick = (kind: LineDraft['etagKind'], current = 'MTIz'): string | undefined =>
    kind === 'current' ? current : kind === 'stale' ? 'MQ==' : undefined;
  const eTag = pick(etagKind, record?.etag);
  const twinETag = twinEtagMatters(line.importMode)
    ? pick(twinEtagKind, record?.twinEtag ?? 'AAAAAAAAAAk=')
    : undefined;
  return {
    ...line,
    ...(eTag === undefined ? {} : { eTag }),
    ...(twinETag === undefined ? {} : { twinETag }),
  };
}

/** For update and delete nothing is known about twinETag. */
function twinEtagMatters(mode = 'createOrUpdate'): boolean {
  return /^(create|updatetwin)/i.test(mode);
}

describe('an import', () => {
  /**
   * Does through REST what a line asks for, as the facts have it (§1.4, §3, §6).
   * @returns false when it is refused.
   */
  async function applyByRest(line: ImportedLine, how: 'PUT' | 'PATCH'): Promise<boolean> {
    const mode = (line.importMode ?? 'createOrUpdate').toLowerCase();
    const verb = mode.replace('ifmatchetag', '');
    const matches = mode !== verb;
    const [device, module] = [line.id, line.moduleId ?? ''].map(encodeURIComponent);
    const tail = line.moduleId === undefined ? device : `${device}/modules/${module}`;
    const before = await rest.ask('GET', `/devices/${tail}`);
    const there = before.status === 200;
    if (!there && !verb.startsWith('create')) return false;
    if (line.moduleId?.startsWith('$') === true) return false;
    if (matches && there) {
      // A line of an IfMatchETag mode must say what it matches.
      const given = verb === 'updatetwin' ? line.twinETag : line.eTag;
      if (given === undefined) return false;
    }
    if (verb === 'delete') {
      return ok(
        await rest.ask('DELETE', `/devices/${tail}`, {
          headers: { 'if-match': matches ? `"${line.eTag}"` : '"*"' },
        }),
      );
    }
    const twin = there ? (await rest.ask('GET', `/twins/${tail}`)).json : undefined;
    if (verb.startsWith('create') && twin !== undefined && line.twinETag !== undefined) {
      if (asText(twin.etag) !== line.twinETag) return false;
    }
    if (verb !== 'updatetwin') {
      const updates = there && verb !== 'create';
      const ifMatch = matches ? `"${line.eTag}"` : '"*"';
      const identity = await rest.ask('PUT', `/devices/${tail}`, {
        body: identityBody(line, there ? before.json : undefined),
        ...(updates ? { headers: { 'if-match': ifMatch } } : {}),
      });
      if (!ok(identity)) return false;
    }
    const { desired } = line.properties ?? {};
    // With nothing to write, only the etag is left to be checked.
    const checksOnly = verb === 'updatetwin' && matches;
    if (line.tags === undefined && desired === undefined && !checksOnly) return true;
    const properties = twin?.properties?.desired as unknown as JsonObject | undefined;
    const { $metadata: _metadata, $version: _version, ...currentDesired } = properties ?? {};
    const tags = line.tags ?? (how === 'PUT' ? (twin?.tags ?? {}) : undefined);
    return ok(
      await rest.ask(how, `/twins/${tail}`, {
        body: { tags, properties: { desired: desired ?? (how === 'PUT' ? currentDesired : undefined) } },
        ...(verb === 'updatetwin' && matches ? { headers: { 'if-match': `"${line.twinETag}"` } } : {}),
      }),
    );
  }

  function ok({ status, text }: { status: number; text: string }): boolean {
    if (![200, 204, 400, 404, 409, 412].includes(status)) throw new Error(`${status} ${text}`);
    return status < 300;
  }

  function identityBody(line: ImportedLine, before: JsonObject | undefined): JsonObject {
    const authentication = line.authentication ?? null;
    if (line.moduleId !== undefined) return { deviceId: line.id, moduleId: line.moduleId, authentication };
    const wasEdge = (before?.capabilities as JsonObject | undefined)?.iotEdge === true;
    const isEdge = line.capabilities?.iotEdge === true;
    // An edge restates its own scope; one that was a leaf sends an empty one.
    const edgeScope = wasEdge ? before?.deviceScope : before === undefined ? undefined : '';
    const deviceScope = isEdge ? edgeScope : line.deviceScope;
    return {
      deviceId: line.id,
      status: line.status,
      authentication,
      capabilities: { iotEdge: isEdge },
      ...(line.statusReason === undefined ? {} : { statusReason: line.statusReason }),
      ...(deviceScope === undefined ? {} : { deviceScope }),
      ...(line.parentScopes === undefined ? {} : { parentScopes: line.parentScopes }),
    };
  }

  const givenGenerations = new Set(startingFleet.map(({ generationId }) => generationId));

  /** A record without what each hub makes for itself. */
  function comparable(record: FullRecord): JsonObject {
    const {
      etag: _etag,
      twinEtag: _twinEtag,
      twinVersion: _twinVersion,
      desiredVersion: _desiredVersion,
      twinUpdatedAt: _twinUpdatedAt,
      statusUpdatedAt: _statusUpdatedAt,
      generationId,
      authentication,
      deviceScope,
      ...others
    } = record;
    const key = (value: string): string => (givenKeys.includes(value) ? value : 'made by the hub');
    return {
      ...(others as unknown as JsonObject),
      generation: givenGenerations.has(generationId) ? generationId : 'made by the hub',
      authentication:
        authentication.type === 'sas'
          ? { primaryKey: key(authentication.primaryKey), secondaryKey: key(authentication.secondaryKey) }
          : { ...authentication },
      scope: record.iotEdge === true ? deviceScope === edgeScopeOf(record) : (deviceScope ?? null),
    };
  }

  /** The scope with the generation id, unless the suffix is empty. */
  function edgeScopeOf({ deviceId, deviceScope = '', generationId }: FullRecord): string {
    const start = `ms-azure-iot-edge://${deviceId}-`;
    return deviceScope === start ? `empty suffix` : `${start}${generationId}`;
  }

  it.each([
    { importTwinPart: 'replace', how: 'PUT' },
    { importTwinPart: 'merge', how: 'PATCH' },
  ] as const)('leaves the registry that REST leaves ($importTwinPart, $how)', async (variant) => {
    const { importTwinPart, how } = variant;
    const happened = { applied: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(importFiles, async (files) => {
        // Without these two, REST cannot do what imports can: rescue stale scopes, write modules of disabled devices.
        startAgain({ importTwinPart, restScopeCheck: 'never', sasModuleQuirk: false });
        for (const hub of [stand.hub, other]) hub.load(startingFleet);
        for (const file of files) {
          const lines = file.map((draft) => meet(other, draft));
          const refused = await importTexts(file.map((draft) => JSON.stringify(meet(stand.hub, draft))));
          const seen = new Set<string>();
          const refusedByRest: string[] = [];
          for (const line of lines) {
            // Of two lines with the same id the second is rejected (§3.1).
            const done = !seen.has(keyOf(line)) && (await applyByRest(line, how));
            seen.add(keyOf(line));
            if (!done) refusedByRest.push(keyOf(line));
          }
          expect(refused).toEqual(refusedByRest);
          happened.refused += refused.length;
          happened.applied += lines.length - refused.length;
          const [byImport, byRest] = [stand.hub, other].map((hub) => Array.from(hub.dump(), comparable));
          expect(byImport).toEqual(byRest);
        }
      }),
      { seed, numRuns: 40 },
    );
    // The property would hold just as well if every line were refused.
    expect(happened.applied).toBeGreaterThan(100);
    expect(happened.refused).toBeGreaterThan(60);
  });
});

describe('an export', () => {
  async function exportLines(): Promise<ImportedLine[]> {
    const job = await stand.client.job({ type: 'export', outputBlobContainerUri: azurite.uri(container) });
    expect(job.status).toBe('completed');
    const { readableStreamBody } = await container.getBlobClient('devices.txt').download();
    const lines: ImportedLine[] = [];
    for await (const text of splitLines(readableStreamBody as AsyncIterable<Buffer>)) {
      lines.push(JSON.parse(text) as ImportedLine);
    }
    return lines.filter(({ moduleId }) => moduleId?.startsWith('$') !== true);
  }

  /** What the hub makes for itself, and -0, which JSON text of numbers does not keep. */
  function comparable({ eTag: _eTag, twinETag: _twinETag, ...line }: ImportedLine): ImportedLine {
    if (line.capabilities?.iotEdge === true) delete line.deviceScope;
    return JSON.parse(JSON.stringify(line)) as ImportedLine;
  }

  it('of an import is the import', async () => {
    await fc.assert(
      fc.asyncProperty(hostileFiles, fc.boolean(), async (lines, escaped) => {
        startAgain();
        const texts = lines.map((line) => JSON.stringify(line));
        expect(await importTexts(escaped ? texts.map(escapeAll) : texts)).toEqual([]);
        expect((await exportLines()).map(comparable)).toEqual(lines.map(comparable));
      }),
      { seed, numRuns: 40 },
    );
  });

  it('cannot be of numbers that no double holds, which are refused', async () => {
    startAgain();
    const line = '{"id":"d","status":"enabled","tags":{"n":[1e400]}}';
    expect(await importTexts([line, line.replace('"d"', '"e"').replace('1e400', '-1e308')])).toEqual(['d']);
    const twin = await stand.client.ask('PATCH', '/twins/e', { body: '{"tags":{"n":-1e400}}' });
    expect([twin.status, twin.headers['iothub-errorcode']]).toEqual([400, 'ArgumentInvalid']);
    expect((await exportLines()).map(({ tags }) => tags)).toEqual([{ n: [-1e308] }]);
  });

  it('of an export that was imported again is that export', async () => {
    await fc.assert(
      fc.asyncProperty(hostileFiles, async (lines) => {
        startAgain();
        await importTexts(lines.map((line) => JSON.stringify(line)));
        const first = await exportLines();
        await importTexts(first.map((line) => JSON.stringify(line)));
        expect((await exportLines()).map(comparable)).toEqual(first.map(comparable));
      }),
      { seed, numRuns: 20 },
    );
  });
});

describe('a dump', () => {
  it('that was loaded into another hub is its dump', async () => {
    await fc.assert(
      fc.asyncProperty(importFiles, hostileFiles, async (files, hostile) => {
        startAgain();
        stand.hub.load(startingFleet);
        for (const file of files) {
          await importTexts(file.map((draft) => JSON.stringify(meet(stand.hub, draft))));
        }
        await importTexts(hostile.map((line) => JSON.stringify(line)));
        const dump = [...stand.hub.dump()];
        const texts = dump.map((record) => JSON.stringify(record));
        other.load(texts.map((text) => JSON.parse(text) as FullRecord));
        expect(Array.from(other.dump(), (record) => JSON.stringify(record))).toEqual(texts);
        expect([...other.dump()]).toEqual(dump);
      }),
      { seed, numRuns: 20 },
    );
  });
});
