/**
 * Every knob of a simulated hub, as one table: the options of `hubferry simulator`, the checks of the admin API and
 * docs/simulator.md all come from it. `known` says what is known about the real service (paragraph numbers are those of
 * docs/service.md).
 */

/** Under which heading a setting stands in `--help` and in docs/simulator.md. */
export type SettingGroup = 'Imports' | 'Exports' | 'Jobs' | 'REST' | 'Configurations' | 'Time' | 'Quotas';

interface About {
  readonly group: SettingGroup;
  /** What it does, in a few words for `--help`. */
  readonly about: string;
  /** What is known about the service, and from where. */
  readonly known: string;
}

interface ChoiceSetting<T extends string> extends About {
  readonly kind: 'choice';
  readonly initial: T;
  readonly choices: readonly T[];
}

interface FlagSetting extends About {
  readonly kind: 'flag';
  readonly initial: boolean;
}

interface NumberSetting extends About {
  readonly kind: 'number';
  readonly initial: number;
  /** E.g. `ms`; stands in `--help` as the option's argument. */
  readonly unit: string;
}

export type Setting = ChoiceSetting<string> | FlagSetting | NumberSetting;

type Made<S> = Omit<S, 'group' | 'about' | 'known'>;

function define<S>(group: SettingGroup, made: Made<S>, about: string, known: string): S {
  return { ...made, group, about, known } as S;
}

/** The first choice is the default. */
function choice<const T extends string>(
  group: SettingGroup,
  choices: readonly [T, ...T[]],
  about: string,
  known: string,
): ChoiceSetting<T> {
  return define<ChoiceSetting<T>>(group, { kind: 'choice', initial: choices[0], choices }, about, known);
}

function flag(group: SettingGroup, initial: boolean, about: string, known: string): FlagSetting {
  return define<FlagSetting>(group, { kind: 'flag', initial }, about, known);
}

function number(
  group: SettingGroup,
  initial: number,
  unit: string,
  about: string,
  known: string,
): NumberSetting {
  return define<NumberSetting>(group, { kind: 'number', initial, unit }, about, known);
}

/** All settings by name. The defaults are the likeliest answers where nothing is documented. */
export const settingTable = {
  // ----- Imports
  importOrder: choice(
    'Imports',
    ['asWritten', 'devicesFirst', 'shuffled'],
    'in which order an import takes its lines',
    'unknown (§3); a module line before that of its device is refused with 404001',
  ),
  importModules: choice(
    'Imports',
    ['accept', 'refuse'],
    'module lines; refuse logs 400012',
    'implied by the schema, never shown end to end (§3)',
  ),
  importSystemModules: choice(
    'Imports',
    ['refuse', 'ignore', 'apply'],
    'lines about $edgeAgent and $edgeHub; refuse logs 401100',
    'reported not to be importable (§3)',
  ),
  importReported: choice(
    'Imports',
    ['ignore', 'write'],
    'reported properties in a line',
    'in the schema; the effect is unknown (§2.2)',
  ),
  importTwinPart: choice(
    'Imports',
    ['replace', 'merge'],
    'how tags and desired of a line, or of a bulk POST, meet those of a twin',
    'unknown for every mode (§3); a section that is absent stays as it is',
  ),
  importNoAuthentication: choice(
    'Imports',
    ['mintKeys', 'keep'],
    'updates by a line without authentication',
    'unknown; a PUT without it mints keys (§1.4)',
  ),
  importLeafScope: choice(
    'Imports',
    ['honour', 'ignore'],
    'deviceScope of a leaf device',
    'in the schema; whether imports honour it is unknown (§6)',
  ),
  importStaleScope: choice(
    'Imports',
    ['accept', 'refuse'],
    'a deviceScope of no edge device; refuse logs 400028',
    'a bulk POST was seen to accept any string; nothing is known about jobs (§6)',
  ),
  importEdgeScope: choice(
    'Imports',
    ['mint', 'refuse'],
    'deviceScope of a new edge device; refuse logs 400028',
    'REST ignores it and mints one (§6); unknown for imports',
  ),
  importParentScopes: choice(
    'Imports',
    ['honour', 'ignore'],
    'parentScopes of an edge device',
    'in the schema since 2021-04-12; whether imports honour it is unknown (§6)',
  ),
  importModeNumbers: choice(
    'Imports',
    ['refuse', 'accept'],
    'importMode as a number 0 to 8; refuse logs 400012',
    "Microsoft's .NET client numbers the modes; whether the service reads numbers is unknown (§3)",
  ),
  importUnknownFields: choice(
    'Imports',
    ['ignore', 'refuse'],
    'fields that are not in the schema; refuse logs 400012',
    'unknown (§2.2)',
  ),
  importClearsManagedBy: flag(
    'Imports',
    true,
    'a module line clears managedBy',
    'the line format cannot carry it (§6)',
  ),
  importConfigurationMode: choice(
    'Imports',
    ['createOrUpdate', 'refuse'],
    'configuration lines without importMode',
    'unknown; one mode is defined, createOrUpdateIfMatchETag (§2.3)',
  ),
  importQuotaMargin: number(
    'Imports',
    0,
    'count',
    'records before the limit of the hub at which imports already log 403002',
    'documented: near the limit imports may refuse what fits, with no figure (§3.1)',
  ),
  errorLogModuleId: flag(
    'Imports',
    true,
    'error log entries about a module name the module',
    'likely, never seen (§3.1)',
  ),
  errorLogBadLineId: flag(
    'Imports',
    false,
    'error log entries about unreadable lines name the device',
    'seen without (§3.1)',
  ),
  errorLogRepeat: number(
    'Imports',
    1,
    'times',
    'how often each entry of an error log is written',
    'a captured log held every entry about 20 times (§3.1)',
  ),
  errorLogClean: choice(
    'Imports',
    ['empty', 'none'],
    'the error log of an import without errors',
    'documented as zero bytes (§3.1)',
  ),
  errorLogExisting: choice(
    'Imports',
    ['replace', 'append'],
    'an error log of an earlier job in the same container',
    'unknown (§3.1)',
  ),

  // ----- Exports
  exportParentScopes: flag(
    'Exports',
    true,
    'parentScopes of edge devices are written',
    'in the schema, never seen in a published file (§2.1)',
  ),
  exportReported: flag(
    'Exports',
    false,
    'real reported properties are written',
    'every published sample shows {} (§2.1)',
  ),
  exportExcludedKeys: choice(
    'Exports',
    ['noAuthentication', 'nullKeys'],
    'what stands in a line without keys',
    'documented as null keys; published samples show authentication null (§2.1)',
  ),
  exportWarning: flag(
    'Exports',
    true,
    'without keys the first line is a warning, not JSON',
    'seen; its wording is unknown (§2.1)',
  ),
  exportBom: flag('Exports', false, 'the file begins with a byte order mark', 'unknown (§2.1)'),
  exportLineEnd: choice(
    'Exports',
    ['crlf', 'lf'],
    'what ends a line',
    "Microsoft's tests split at CRLF (§2.1)",
  ),
  exportFinalLineEnd: flag('Exports', true, 'the last line has an end, too', 'unknown (§2.1)'),
  exportConfigurationCase: choice(
    'Exports',
    ['pascal', 'pascalTop', 'camel'],
    'names in configurations.txt: all, top level, none',
    'PascalCase was seen; how deep it goes is unknown (§2.3)',
  ),

  // ----- Jobs
  secondJob: choice(
    'Jobs',
    ['refuse', 'queue'],
    'a job while another is active; refuse = 403003',
    'refusal was seen (§4); queueing is for trying tools',
  ),
  jobsPolicy: choice(
    'Jobs',
    ['registryReadWrite', 'owner'],
    'shared access policy that /jobs needs',
    'not documented; guides use iothubowner (§1.5)',
  ),
  missingInputBlob: choice(
    'Jobs',
    ['refuse', 'failJob'],
    'an import without its blob',
    'refusal was reported; whether at once is not certain (§4)',
  ),
  jobOrder: choice('Jobs', ['newestFirst', 'oldestFirst'], 'order of GET /jobs', 'not documented (§4)'),
  jobWaitingStatus: choice(
    'Jobs',
    ['enqueued', 'queued', 'scheduled'],
    'status of a job that does not run yet',
    'enqueued was seen; the enumeration has the other two as well (§4)',
  ),
  jobShowsUris: flag(
    'Jobs',
    false,
    'GET /jobs/{id} shows URIs and storage authentication',
    'seen without; the reply of a create has them (§4)',
  ),
  deleteFinishedJob: choice(
    'Jobs',
    ['serverError', 'ok'],
    'DELETE of a job that is finished or unknown',
    'was seen to answer 500 (§4)',
  ),
  jobIdentity: choice(
    'Jobs',
    ['refuse', 'accept'],
    'identityBased jobs; refuse = 400032, accept takes containers of the account that the hub was given',
    'documented; roles are not simulated (§4)',
  ),
  jobConfigurationsOrder: choice(
    'Jobs',
    ['devicesFirst', 'configurationsFirst'],
    'what a job with includeConfigurations does first',
    'unknown (§2.3)',
  ),
  basicTierJobs: choice(
    'Jobs',
    ['accept', 'refuse'],
    'jobs in tiers B1 to B3; refuse = 403010',
    'two pages of Microsoft contradict each other (§5)',
  ),

  // ----- REST
  restScopeCheck: choice(
    'REST',
    ['update', 'never', 'always'],
    'which writes of a leaf must name the scope of an edge device',
    'an update was seen to fail, bulk creates to succeed (§6)',
  ),
  bulkCreateOrUpdate: choice(
    'REST',
    ['accept', 'refuse'],
    'createOrUpdate modes in a bulk POST',
    "unknown; Microsoft's clients do not send them (§3)",
  ),
  bulkBadTwin: choice(
    'REST',
    ['refuse', 'warn'],
    'new devices of a bulk POST with a bad twin part; warn makes them without it',
    'a warning DeviceRegisteredWithoutTwin exists, when it comes is unknown (§7)',
  ),
  bulkErrorCode: choice(
    'REST',
    ['name', 'number'],
    'errorCode in the result of a bulk POST',
    "a name in the OpenAPI file; a test of Microsoft's .NET client is off because an integer came (§7)",
  ),
  systemModuleTwins: choice(
    'REST',
    ['refuse', 'accept'],
    'writes of the twins of $edgeAgent and $edgeHub; refuse = 401100',
    'sources contradict each other (§6)',
  ),
  sasModuleQuirk: flag(
    'REST',
    true,
    'under SAS, modules of missing or disabled devices answer 401',
    'seen (§1.5)',
  ),
  twinThumbprintCase: choice(
    'REST',
    ['pascal', 'camel'],
    'names of thumbprints in twins',
    'seen as PrimaryThumbprint, documented as primaryThumbprint (§1.3)',
  ),

  // ----- Configurations
  configurationsPolicy: choice(
    'Configurations',
    ['registryReadWrite', 'owner'],
    'shared access policy that /configurations needs',
    'not documented (§1.5)',
  ),
  configurationsAct: flag(
    'Configurations',
    true,
    'configurations write to the twins that they target',
    'documented (§6); off = they are only kept',
  ),
  configurationRemoval: choice(
    'Configurations',
    ['leave', 'remove'],
    'values of a configuration that targets a twin no more',
    'seen to stay; an older page says they are removed (§6)',
  ),
  applyThrottle: choice(
    'Configurations',
    ['configurations', 'registry'],
    'budget of applyConfigurationContent',
    'not documented (§5)',
  ),

  // ----- Time
  rate: number(
    'Time',
    0,
    'records/s',
    'speed of jobs; 0 = as fast as possible',
    '70/s on public figures (§4)',
  ),
  startDelay: number('Time', 0, 'ms', 'time that a job waits before it runs', 'not documented'),
  jobLag: number('Time', 0, 'ms', 'time until a new job can be read', 'no source, but other answers lag'),
  identityRoleDelay: number(
    'Time',
    0,
    'ms',
    'time that identityBased jobs on a new container answer 400008',
    'seen: about 30 s after a role was assigned (§4)',
  ),
  visibilityLag: number('Time', 0, 'ms', "time after a job's end until GET shows it", 'seen: seconds (§4)'),
  exportLag: number('Time', 0, 'ms', "time after a job's end until exports show it", 'no source'),
  queryLag: number('Time', 0, 'ms', 'time after a write until queries show it', 'seen: 1.4 s (§1.6)'),
  queryGhosts: number(
    'Time',
    0,
    'ms',
    'time that queries go on to show what was deleted',
    'seen: more than 25 minutes (§1.6)',
  ),
  configurationLag: number(
    'Time',
    0,
    'ms',
    'time until configurations act on a twin',
    'documented as minutes at most, no figure',
  ),

  // ----- Quotas
  throttling: flag('Quotas', false, 'requests are throttled by tier and units', 'documented (§5)'),
  tier: choice(
    'Quotas',
    ['S1', 'F1', 'S2', 'S3', 'B1', 'B2', 'B3'],
    'tier of the hub',
    'B1 to B3 have no twins, modules and configurations (§5)',
  ),
  units: number('Quotas', 1, 'count', 'units of the hub', 'documented (§5)'),
  throttleQueue: number(
    'Quotas',
    10_000,
    'ms',
    'longest wait of a throttled request before it is answered 429',
    'delays up to 3.2 s were seen, and 429003 (§5)',
  ),
  throttleBacklog: number(
    'Quotas',
    1_000,
    'requests',
    'how many requests of one kind may wait; more are answered 429 at once',
    '429002 is documented, the length of the queue is not (§5)',
  ),
  maxRecords: number(
    'Quotas',
    1_000_000,
    'count',
    'devices and modules that the hub takes',
    'documented (§5)',
  ),
  maxConfigurations: number(
    'Quotas',
    100,
    'count',
    'configurations that the hub takes, edge deployments among them',
    'documented: 100, and 10 in the free tier; seen as one limit for both kinds (§5)',
  ),
} satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof settingTable;

type ValueOf<S> =
  S extends ChoiceSetting<infer T>
    ? T
    : S extends FlagSetting
      ? boolean
      : S extends NumberSetting
        ? number
        : never;

/** All settings of a hub; every one can be changed while it runs. */
export type HubSettings = { -readonly [Name in SettingName]: ValueOf<(typeof settingTable)[Name]> };

export const defaultSettings = Object.fromEntries(
  Object.entries(settingTable).map(([name, { initial }]) => [name, initial]),
) as HubSettings;

/**
 * Checks a change of settings that came from outside (admin API, command line).
 * @throws {TypeError} that names the setting and what it may be.
 */
export function checkSettings(change: Readonly<Record<string, unknown>>): Partial<HubSettings> {
  for (const [name, value] of Object.entries(change)) {
    const setting = new Map<string, Setting>(Object.entries(settingTable)).get(name);
    if (setting === undefined) throw new TypeError(`unknown setting '${name}'`);
    const fits =
      setting.kind === 'choice'
        ? setting.choices.includes(value as string)
        : setting.kind === 'flag'
          ? typeof value === 'boolean'
          : typeof value === 'number' && value >= 0 && value < 1e15;
    if (!fits) throw new TypeError(`setting '${name}' must be ${values(setting)}`);
  }
  return change;
}

/** What a setting may be, e.g. `one of accept, refuse`. */
function values(setting: Setting): string {
  if (setting.kind === 'choice') return `one of ${setting.choices.join(', ')}`;
  return setting.kind === 'flag' ? 'true or false' : 'a number from 0 up';
}
