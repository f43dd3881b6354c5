import { ID_CHARACTERS, isJsonObject, type JsonObject, MAX_ID, type RecordKey, recordKey } from './record.js';

/** One line that a hub rejected in an import job. */
export interface RejectedLine {
  /** Null where the hub does not say which record it was. */
  readonly key: RecordKey | null;
  /** The service's number where it is known; `UNREADABLE` for an entry that cannot be read. */
  readonly code: number | string;
  /** In our own words. */
  readonly reason: string;
}

/** What the service's codes mean (facts §7), with their names: the log may hold either. */
const CODES: ReadonlyMap<number, readonly [name: string, reason: string]> = new Map([
  [400004, ['ArgumentInvalid', 'the hub finds a key, a thumbprint or a twin value invalid']],
  [400005, ['ArgumentNull', 'the hub misses a required value']],
  [400006, ['IotHubFormatError', 'the hub finds the record badly formed']],
  [400009, ['ImportWarningExistsError', 'the hub took the record with a warning']],
  [400011, ['DeviceDefinedMultipleTimes', 'the record stands twice in one import']],
  [400012, ['DeserializationError', 'the hub cannot read the line']],
  [400023, ['EtagDoesNotMatch', 'the record was changed by somebody else meanwhile']],
  [400028, ['InvalidDeviceScope', 'the hub does not accept the parent’s scope']],
  [400301, ['CannotRegisterModuleToModule', 'a module cannot hang on a module']],
  [400401, ['InvalidConfigurationTargetCondition', 'the hub does not accept the target condition']],
  [400402, ['InvalidConfigurationContent', 'the hub does not accept the content']],
  [400403, ['CannotModifyImmutableConfigurationContent', 'the content of a configuration cannot be changed']],
  [400404, ['InvalidConfigurationCustomMetricsQuery', 'the hub does not accept a metrics query']],
  [401002, ['IotHubUnauthorizedAccess', 'the hub does not allow this write']],
  [
    401100,
    ['SystemModuleModifyUnauthorizedAccess', 'the module belongs to the service and cannot be written'],
  ],
  [403001, ['IotHubSuspended', 'the hub is suspended']],
  [403002, ['IotHubQuotaExceeded', 'the hub is full, or thinks so']],
  [403010, ['OperationNotAvailableInCurrentTier', 'the hub’s tier does not offer this']],
  [404001, ['DeviceNotFound', 'the hub does not know the device']],
  [404010, ['ModuleNotFound', 'the hub does not know the module']],
  [404301, ['ConfigurationNotFound', 'somebody else deleted the configuration meanwhile']],
  [409001, ['DeviceAlreadyExists', 'the device exists already']],
  [409301, ['ModuleAlreadyExistsOnDevice', 'the module exists already']],
  [409401, ['ConfigurationAlreadyExists', 'somebody else created another one under this id meanwhile']],
  [
    409402,
    ['ApplyConfigurationAlreadyInProgressOnDevice', 'another manifest is being applied to the device'],
  ],
  [412001, ['PreconditionFailed', 'the record was changed by somebody else meanwhile']],
  [413001, ['MessageTooLarge', 'the record is too large for the hub']],
  [413003, ['TooManyModulesOnDevice', 'the device has too many modules']],
  [413101, ['ConfigurationCountLimitExceeded', 'the hub takes no more configurations']],
  [429001, ['ThrottlingException', 'the hub was too busy for it']],
  [429002, ['ThrottleBacklogLimitExceeded', 'the hub was too busy for it']],
  [429003, ['ThrottlingBacklogTimeout', 'the hub was too busy for it']],
  [500001, ['ServerError', 'the hub had a fault of its own']],
  [500008, ['GenericTimeout', 'the hub took too long over it']],
  [503001, ['ServiceUnavailable', 'the hub was not available for it']],
  [503005, ['ServerBusy', 'the hub was too busy for it']],
]);

const NUMBERS: ReadonlyMap<string, number> = new Map([...CODES].map(([number, [name]]) => [name, number]));

/** The record is there, or was asked for before it was visible; also once seen on valid lines (facts §3.1). */
const MAYBE_THERE = new Set([400009, 404001, 404010, 409001, 409301]);

/**
 * Whether a rejection says little about the next try: the hub was busy, had a fault of its own, or did not see the
 * device yet. `code` is as a rejection carries it: a number as text, or the name of an unknown code.
 */
export function mayPass(code: string): boolean {
  return code === '404001' || code === '409402' || /^(429|5\d\d)\d{3}$/.test(code);
}

/** Whether a record may be on the hub although its line was rejected with this code. */
export function mayBeThere(code: string): boolean {
  return mayPass(code) || MAYBE_THERE.has(Number(code));
}

/**
 * The hub has no room, or thinks so: near its limit it may refuse the lines of imports, while it still takes single
 * devices (facts §3.1).
 */
export const FULL = '403002';

/** Codes with which a hub may refuse a kind of line as such: it cannot read it, or does not offer it in imports. */
const KIND_REFUSED = new Set(['400000', '400003', '400012', '405103', 'ImportDevicesNotSupported']);

/** Whether a line may have been refused for its kind, so that the same record can go by REST. */
export function mayGoByRest(code: string): boolean {
  return KIND_REFUSED.has(code);
}

/** A rejection by the service's name or number of the code, in our own words. */
export function explained(code: string): { code: string; reason: string } {
  const number = NUMBERS.get(code) ?? (/^\d+$/.test(code) ? Number(code) : null);
  const known = number === null ? undefined : CODES.get(number)?.[1];
  return { code: String(number ?? code), reason: known ?? `the hub rejected this record (code ${code})` };
}

/**
 * Reads one line of `importErrors.log` (facts §3.1), or null for a blank one. The service's own text is not passed on:
 * it echoes whole lines with keys. Entries may repeat: the same key and code is the same rejection.
 */
export function parseErrorLine(line: string): RejectedLine | null {
  const text = line.replace(/^\uFEFF/, '').trim();
  if (text === '') return null;
  const entry = parseEntry(text);
  if (entry === null) return unreadable();
  const code = readCode(member(entry, 'errorCode'));
  if (code === null) return { ...unreadable(), key: readKey(entry) };
  const known = typeof code === 'number' ? CODES.get(code)?.[1] : undefined;
  return { key: readKey(entry), code, reason: known ?? `the hub rejected this line (code ${code})` };
}

function unreadable(): RejectedLine {
  return { key: null, code: 'UNREADABLE', reason: 'the hub’s entry about this line cannot be read' };
}

function parseEntry(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** A member by its name in any casing. */
function member(entry: JsonObject, name: string): unknown {
  if (Object.hasOwn(entry, name)) return entry[name];
  const other = Object.keys(entry).find((key) => key.toLowerCase() === name.toLowerCase());
  return other === undefined ? undefined : entry[other];
}

/** A number, or the name of an unknown code; null for what is neither and might hold anything. */
function readCode(value: unknown): number | string | null {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return null;
  if (/^\d{6}$/.test(value)) return Number(value);
  return NUMBERS.get(value) ?? (/^[A-Za-z]{1,60}$/.test(value) ? value : null);
}

/** How every import line of ours begins, as the hub echoes it, with or without another round of escapes. */
const ECHO =
  /\{\\*"id\\*":\\*"([^"\\]{1,128})\\*"(?:,\\*"moduleId\\*":\\*"([^"\\]{1,128})\\*")?,\\*"status\\*":/;

/**
 * Whose line it was. A line that the hub could not read is logged without an id, but its echo begins with the id.
 */
function readKey(entry: JsonObject): RecordKey | null {
  const deviceId = member(entry, 'deviceId');
  const moduleId = member(entry, 'moduleId') ?? '';
  if (typeof deviceId === 'string' && deviceId !== '') return keyOf(deviceId, moduleId);
  const status = member(entry, 'errorStatus');
  const echo = typeof status === 'string' ? ECHO.exec(status) : null;
  return echo === null ? null : keyOf(echo[1] ?? '', echo[2] ?? '');
}

const isId = (id: string): boolean => id.length > 0 && id.length <= MAX_ID && ID_CHARACTERS.test(id);

function keyOf(deviceId: string, moduleId: unknown): RecordKey | null {
  if (!isId(deviceId)) return null;
  if (moduleId === '') return recordKey(deviceId, null);
  return typeof moduleId === 'string' && isId(moduleId) ? recordKey(deviceId, moduleId) : null;
}
