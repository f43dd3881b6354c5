/**
 * Every knob of a simulated hub. Where the real service is not documented, the knob's comment says what is known
 * (paragraph numbers are those of the project's fact sheet on the service, kept in docs/service.md).
 */

/** Switches for behaviour that Microsoft does not document. Every one has a default in {@link defaultBehaviour}. */
export interface Behaviour {
  /**
   * What an import does with `parentScopes` of an edge device. The field is in the ExportImportDevice schema since
   * 2021-04-12; whether imports honour it is not known (§9).
   */
  importParentScopes: 'honour' | 'ignore';
  /**
   * What an import does with a `deviceScope` that belongs to no edge device. Bulk POST was seen to accept any string;
   * nothing is known about jobs (§6, §9).
   */
  importStaleScope: 'accept' | 'refuse';
  /** Whether an export writes `parentScopes` for edge children. In the schema, never seen in a published file (§9). */
  exportParentScopes: boolean;
  /** Whether an export writes real reported properties. Every published sample shows `{}` (§2.1, §9). */
  exportReported: boolean;
  /** Whether tags/desired of an import line replace the twin's or are merged into them. Not known (§3, §9). */
  importTwinPart: 'replace' | 'merge';
  /** Module lines in an import: implied by the schema, never shown end to end (§3, §9). `refuse` logs 400012. */
  importModules: 'accept' | 'refuse';
  /** Whether an identity line for a module clears `managedBy`, which the line format cannot carry (§6). */
  importClearsManagedBy: boolean;
  /** A missing input blob: refused at creation was reported, sync or failed job is not certain (§4, §9). */
  missingInputBlob: 'refuse' | 'failJob';
  /**
   * PUT of a leaf with a scope that belongs to no edge: an update was seen to fail, bulk creates to succeed (§6,
   * CONFLICT). `update` checks updates only.
   */
  restScopeCheck: 'never' | 'update' | 'always';
  /** Policy needed for /jobs: not documented; Microsoft's guides use iothubowner (§1.5, §9). */
  jobsPolicy: 'registryReadWrite' | 'owner';
  /** Policy needed for /configurations: not documented (§1.5, §9). */
  configurationsPolicy: 'registryReadWrite' | 'owner';
  /** Order of GET /jobs: not documented (§4, §9). */
  jobOrder: 'newestFirst' | 'oldestFirst';
  /** DELETE of a finished or unknown job was seen to answer 500 (§4). */
  deleteFinishedJob: 'serverError' | 'ok';
  /** Module identity calls on missing or disabled devices answer 401 under SAS; seen on a live hub (§1.5). */
  sasModuleQuirk: boolean;
  /** Whether an entry of importErrors.log about a module names the module: likely, never seen (§3.1). */
  errorLogModuleId: boolean;
  /** Whether an export begins with a byte order mark: not known (§2.1). */
  exportBom: boolean;
  /** How often each entry of importErrors.log is written. A captured log held every entry about 20 times (§3.1). */
  errorLogRepeat: number;
}

/** The suggested defaults of §9. */
export const defaultBehaviour: Behaviour = {
  importParentScopes: 'honour',
  importStaleScope: 'accept',
  exportParentScopes: true,
  exportReported: false,
  importTwinPart: 'replace',
  importModules: 'accept',
  importClearsManagedBy: true,
  missingInputBlob: 'refuse',
  restScopeCheck: 'update',
  jobsPolicy: 'registryReadWrite',
  configurationsPolicy: 'registryReadWrite',
  jobOrder: 'newestFirst',
  deleteFinishedJob: 'serverError',
  sasModuleQuirk: true,
  errorLogModuleId: true,
  exportBom: false,
  errorLogRepeat: 1,
};

/** Speed, delays and size of a hub. */
export interface Pace {
  /** Records per second that a job reads or writes; 0 = as fast as possible. */
  rate: number;
  /** Milliseconds that a job stays `enqueued` before it runs. */
  startDelay: number;
  /** Milliseconds after its creation until a job can be read or listed; no source, but other answers do lag. */
  jobLag: number;
  /** Milliseconds after a job's end until GET shows what it did (seen: seconds, §4). */
  visibilityLag: number;
  /** Milliseconds after any write until queries show it (seen: about 1.4 s, §1.6). */
  queryLag: number;
  /** Milliseconds after a job's end until exports show what it did. */
  exportLag: number;
  /** Devices plus modules that the hub takes (1,000,000 on every paid tier, §5). */
  maxRecords: number;
}

export const defaultPace: Pace = {
  rate: 0,
  startDelay: 0,
  jobLag: 0,
  visibilityLag: 0,
  queryLag: 0,
  exportLag: 0,
  maxRecords: 1_000_000,
};

/** All settings of a hub that can be changed while it runs. */
export type HubSettings = Behaviour & Pace;

export const defaultSettings: HubSettings = { ...defaultBehaviour, ...defaultPace };

/** One hub to be served. */
export interface HubOptions extends Partial<HubSettings> {
  /** Letters, digits and hyphens, as in `<name>.localhost`. */
  name: string;
  /** A port on which this hub answers whatever the Host header says; 0 = a free one. */
  ownPort?: number;
}

export interface SimulatorOptions {
  hubs: HubOptions[];
  /** The port shared by all hubs; 0 (default) = a free one. */
  port?: number;
  /** Port of the admin API (plain HTTP on 127.0.0.1); 0 = a free one; false (default) = none. */
  adminPort?: number | false;
  /** Folder of the certificate authority; default: `hubferry/simulator` in the user's data folder. */
  caDir?: string;
  /** Makes policy keys, device keys, etags and generation ids the same at every start. */
  seed?: number;
}

/**
 * Checks a change of settings that came from outside (admin API, command line).
 * @throws {TypeError} that names the setting and what it may be.
 */
export function checkSettings(change: Readonly<Record<string, unknown>>): Partial<HubSettings> {
  for (const [name, value] of Object.entries(change)) {
    const known: unknown = new Map<string, unknown>(Object.entries(defaultSettings)).get(name);
    if (known === undefined) throw new TypeError(`unknown setting '${name}'`);
    const choices = settingChoices[name];
    if (choices !== undefined && !choices.includes(value as string)) {
      throw new TypeError(`setting '${name}' must be one of ${choices.join(', ')}`);
    }
    if (typeof value !== typeof known) throw new TypeError(`setting '${name}' must be a ${typeof known}`);
    if (typeof value === 'number' && !(value >= 0 && value < 1e15)) {
      throw new TypeError(`setting '${name}' must be a number from 0 up`);
    }
  }
  return change;
}

const settingChoices: Readonly<Record<string, readonly string[]>> = {
  importParentScopes: ['honour', 'ignore'],
  importStaleScope: ['accept', 'refuse'],
  importTwinPart: ['replace', 'merge'],
  importModules: ['accept', 'refuse'],
  missingInputBlob: ['refuse', 'failJob'],
  restScopeCheck: ['never', 'update', 'always'],
  jobsPolicy: ['registryReadWrite', 'owner'],
  configurationsPolicy: ['registryReadWrite', 'owner'],
  jobOrder: ['newestFirst', 'oldestFirst'],
  deleteFinishedJob: ['serverError', 'ok'],
};
