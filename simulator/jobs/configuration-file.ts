import type { ContainerClient } from '@azure/storage-blob';
import type { Configurations } from '../configurations/configurations.js';
import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject, setKey } from '../json.js';
import { splitLines } from '../lines.js';
import { Shape } from '../records/identity.js';
import type { HubSettings } from '../settings.js';
import { BlobWriter, readText } from './blobs.js';
import { JobFailure } from './job-end.js';
import type { JobRun } from './job-run.js';

/** Where an import logs what it refused of configurations (§2.3). */
export const configurationErrorLogName = 'importConfigErrors.log';

const lineEnds = { crlf: '\r\n', lf: '\n' } as const;

/** Writes all configurations and edge deployments to a blob, one per line (§2.3). */
export async function exportConfigurations(
  { job, store }: JobRun,
  configurations: Configurations,
  output: ContainerClient,
  blobName: string,
): Promise<void> {
  const { settings } = store;
  const blob = output.getBlockBlobClient(blobName);
  await blob.deleteIfExists();
  job.signal.throwIfAborted();
  const end = lineEnds[settings.exportLineEnd];
  const lines = configurations.list().map((one) => configurationLine(one, settings.exportConfigurationCase));
  const writer = new BlobWriter(blob);
  await writer.write((settings.exportBom ? '\uFEFF' : '') + lines.join(end));
  if (lines.length > 0 && settings.exportFinalLineEnd) await writer.write(end);
  await writer.commit();
}

/**
 * Creates and updates configurations line by line and writes their error log.
 * @throws {JobFailure} when the blob cannot be read.
 */
export async function importConfigurations(
  { job, store }: JobRun,
  configurations: Configurations,
  input: ContainerClient,
  blobName: string,
  output: ContainerClient,
): Promise<void> {
  const { settings } = store;
  const download = await input.getBlockBlobClient(blobName).download();
  if (download.readableStreamBody === undefined) {
    throw new JobFailure('The blob of the configurations cannot be read.');
  }
  const blob = output.getBlockBlobClient(configurationErrorLogName);
  const log = new BlobWriter(blob);
  if (settings.errorLogExisting === 'append') await log.write(await readText(blob));
  let refused = 0;
  for await (const text of splitLines(download.readableStreamBody as AsyncIterable<Buffer>)) {
    job.signal.throwIfAborted();
    const entry = applyLine(configurations, text, settings);
    if (entry === undefined) continue;
    refused++;
    await log.write(`${entry}\r\n`.repeat(settings.errorLogRepeat));
  }
  job.signal.throwIfAborted();
  if (refused > 0 || settings.errorLogClean === 'empty') await log.commit();
}

// ----- lines

/** Names of the schema in the order of a line; below them only those of {@link innerNames} are the service's own. */
const topNames = [
  'id',
  'schemaVersion',
  'labels',
  'content',
  'targetCondition',
  'createdTimeUtc',
  'lastUpdatedTimeUtc',
  'priority',
  'systemMetrics',
  'metrics',
  'etag',
  'importMode',
] as const;

const innerNames: ReadonlyMap<string, readonly string[]> = new Map([
  ['content', ['modulesContent', 'moduleContent', 'deviceContent']],
  ['systemMetrics', ['results', 'queries']],
  ['metrics', ['results', 'queries']],
]);

/** One line of configurations.txt without its end. User content is copied as it is. */
export function configurationLine(
  configuration: JsonObject,
  how: HubSettings['exportConfigurationCase'],
): string {
  if (how === 'camel') return JSON.stringify(configuration);
  const line: JsonObject = {};
  for (const [name, value] of Object.entries(configuration)) {
    line[pascal(name)] =
      how === 'pascal' && innerNames.has(name) && isObject(value)
        ? Object.fromEntries(Object.entries(value).map(([inner, one]) => [pascal(inner), one]))
        : value;
  }
  return JSON.stringify(line);
}

/** .NET spells it ETag. */
function pascal(name: string): string {
  return name === 'etag' ? 'ETag' : name.charAt(0).toUpperCase() + name.slice(1);
}

/**
 * A line with the names of the schema as REST spells them, however they were written; other names, and all user
 * content, stay as they are.
 */
export function asRestBody(line: JsonObject): JsonObject {
  const body = respelled(line, topNames);
  for (const [name, names] of innerNames) {
    const value = body[name];
    if (isObject(value)) body[name] = respelled(value, names);
  }
  return body;
}

function respelled(object: JsonObject, names: readonly string[]): JsonObject {
  const spelled = new Map(names.map((name) => [name.toLowerCase(), name]));
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(object)) {
    setKey(result, spelled.get(key.toLowerCase()) ?? key, value);
  }
  return result;
}

/** @returns the entry for the error log when the line was refused. */
function applyLine(
  configurations: Configurations,
  text: string,
  settings: Readonly<HubSettings>,
): string | undefined {
  let id: string | undefined;
  try {
    const body = asRestBody(readLine(text));
    const shape = new Shape(body, 'DeserializationError');
    const named = shape.text('id');
    if (named === undefined || named === '')
      throw unreadable(text, "Required property 'id' not found in JSON.");
    const mode = readMode(body.importMode, text, settings);
    id = named;
    const etag = mode === 'createOrUpdate' ? '*' : (shape.text('etag') ?? '');
    configurations.put(id, body, configurations.has(id) ? etag : undefined);
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError) return logLine(id, error);
    throw error;
  }
}

function readLine(text: string): JsonObject {
  let line: Json;
  try {
    line = JSON.parse(text) as Json;
  } catch (error) {
    throw unreadable(text, error instanceof Error ? error.message : 'not JSON');
  }
  if (!isObject(line)) throw unreadable(text, 'The line is not a JSON object.');
  return line;
}

/** The only mode that is declared; its number is that of the .NET client (§2.3). */
const declaredMode = { name: 'createOrUpdateIfMatchETag', number: 4 } as const;

function readMode(
  value: Json | undefined,
  text: string,
  settings: Readonly<HubSettings>,
): 'createOrUpdate' | typeof declaredMode.name {
  if (value === undefined || value === null) {
    if (settings.importConfigurationMode === 'createOrUpdate') return 'createOrUpdate';
    throw unreadable(text, "Required property 'importMode' not found in JSON.");
  }
  const declared =
    typeof value === 'string'
      ? value.toLowerCase() === declaredMode.name.toLowerCase()
      : value === declaredMode.number && settings.importModeNumbers === 'accept';
  if (declared) return declaredMode.name;
  throw unreadable(
    text,
    `Error converting value ${JSON.stringify(value)} to type 'ConfigurationImportMode'.`,
  );
}

function unreadable(text: string, why: string): ServiceError {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return new ServiceError('DeserializationError', `Invalid configuration format in line: ${escaped}. ${why}`);
}

/** The shape of an entry is unknown; it follows that of importErrors.log (§3.1). */
function logLine(id: string | undefined, error: ServiceError): string {
  return JSON.stringify({
    ...(id === undefined ? {} : { configurationId: id }),
    errorCode: error.code,
    errorStatus: error.message,
  });
}
