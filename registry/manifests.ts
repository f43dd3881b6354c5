import { jsonEqual } from './compare.js';
import type { Configuration } from './configurations.js';
import { HubferryError } from './errors.js';
import { identityOfLine, isRefusedMark, parseDesiredLine, parseLine } from './line.js';
import { deploymentsOf } from './managed.js';
import { isSystemModule, quoted, type RecordKey, type RegistryRecord, recordKey } from './record.js';
import { type Refusal, refusal } from './refusal.js';

/**
 * The manifest of an edge device: the desired properties of `$edgeAgent`, `$edgeHub` and the modules of its deployment,
 * which have no authentication of their own. No import job carries them; `applyConfigurationContent` writes them all at
 * once, and makes the modules that are not there (facts §6).
 */

/**
 * How a system module of the source stands on the target. `fresh`: what differs is empty there, as the hub made it, so
 * nothing is lost by filling it.
 */
export type ModuleState = 'equal' | 'missing' | 'fresh' | 'different';

export interface ManifestModule {
  readonly key: RecordKey;
  readonly state: ModuleState;
  readonly desired: RegistryRecord;
  readonly actual: RegistryRecord | null;
  /** Deployments of the target that explain all that is different; then it counts as equal. */
  readonly managedBy: readonly string[];
}

/** A system module with its name. */
interface Named {
  readonly key: RecordKey;
  readonly record: RegistryRecord;
}

/** What became of the system modules of one device of the source. */
export type ManifestFound =
  /** All as the hub makes them by itself: nothing to carry. */
  | { readonly kind: 'empty'; readonly modules: readonly Named[]; readonly lostTags: readonly RecordKey[] }
  | { readonly kind: 'refused'; readonly modules: readonly Named[]; readonly refusal: Refusal }
  | ({ readonly kind: 'manifest' } & Manifest);

export interface Manifest {
  readonly deviceId: string;
  /** As desired: a hub may not let the modules of a disabled device be touched (facts §1.5). */
  readonly enabled: boolean;
  /** What the target has under this id. */
  readonly place: 'edge' | 'other' | 'absent';
  readonly modules: readonly ManifestModule[];
  /** Modules of a deployment that only the target has. */
  readonly others: readonly RegistryRecord[];
  /** `$` modules whose tags the target lacks: nothing can write them (facts §6). */
  readonly lostTags: readonly RecordKey[];
}

/** One partition, as lines without line ends: a device and its modules are in the same partition. */
export interface ManifestInput {
  /** Desired lines and marks of refused records. */
  readonly desired: Iterable<string>;
  /** The source's system modules, as desired lines. */
  readonly source: Iterable<string>;
  /** Lines of the target's snapshot. */
  readonly actual: Iterable<string>;
  /** Deployments of the target that may have written to its edge devices. */
  readonly deployments?: readonly Configuration[];
}

/**
 * Compares the manifests of one partition, in the order in which the source has their devices.
 *
 * @throws HubferryError SNAPSHOT_DUPLICATE where the source has a system module twice.
 */
export function* compareManifests({
  desired,
  source,
  actual,
  deployments = [],
}: ManifestInput): Generator<ManifestFound> {
  const devices = new Map<string, { lines: string[]; desired?: string; theirs: string[] }>();
  for (const line of source) {
    const { deviceId } = identityOfLine(line);
    const device = devices.get(deviceId);
    if (device === undefined) devices.set(deviceId, { lines: [line], theirs: [] });
    else device.lines.push(line);
  }
  for (const line of desired) {
    const { deviceId, moduleId } = identityOfLine(line);
    const device = moduleId === null ? devices.get(deviceId) : undefined;
    if (device !== undefined) device.desired = line;
  }
  for (const line of actual) devices.get(identityOfLine(line).deviceId)?.theirs.push(line);
  for (const [deviceId, device] of devices) {
    const modules = named(device.lines);
    const theirs = device.theirs.map(parseLine);
    const lostTags = lostTagsOf(modules, theirs);
    if (modules.every(({ record }) => isOfHub(record) && isEmpty(record.desired)))
      yield { kind: 'empty', modules, lostTags };
    else yield compareDevice({ deviceId, modules, line: device.desired, theirs, lostTags, deployments });
  }
}

interface OneDevice {
  readonly deviceId: string;
  readonly modules: readonly Named[];
  /** The device's desired line. */
  readonly line: string | undefined;
  /** The device and its modules on the target. */
  readonly theirs: readonly RegistryRecord[];
  readonly lostTags: readonly RecordKey[];
  readonly deployments: readonly Configuration[];
}

function compareDevice({ deviceId, modules, line, theirs, lostTags, deployments }: OneDevice): ManifestFound {
  if (line === undefined) return { kind: 'refused', modules, refusal: refusal('DEVICE_MISSING') };
  const device = parseDesiredLine(line);
  if (device.kind === 'refused')
    return { kind: 'refused', modules, refusal: refusal('DEVICE_REFUSED', device.refusal.code) };
  if (!device.record.iotEdge) return { kind: 'refused', modules, refusal: refusal('DEVICE_NOT_EDGE') };
  const actual = new Map(theirs.map((record) => [record.moduleId, record]));
  const there = actual.get(null);
  const wanted = new Set(modules.map(({ record }) => record.moduleId));
  return {
    kind: 'manifest',
    deviceId,
    enabled: device.record.status === 'enabled',
    place: there === undefined ? 'absent' : there.iotEdge ? 'edge' : 'other',
    modules: modules.map(({ key, record }) => {
      const found = actual.get(record.moduleId) ?? null;
      const state = stateOf(record, found);
      const managedBy = state === 'different' ? managersOf(record, found, deployments) : [];
      return {
        key,
        desired: record,
        actual: found,
        managedBy,
        state: managedBy.length > 0 ? 'equal' : state,
      };
    }),
    others: theirs.filter(
      (record) => isSystemModule(record) && !isOfHub(record) && !wanted.has(record.moduleId),
    ),
    lostTags,
  };
}

/** What explains all that is different. */
function managersOf(
  { moduleId, desired, tags }: RegistryRecord,
  actual: RegistryRecord | null,
  deployments: readonly Configuration[],
): string[] {
  if (deployments.length === 0 || moduleId === null || actual === null || !isSystemModule(actual)) return [];
  if (!moduleId.startsWith('$') && !jsonEqual(tags, actual.tags)) return [];
  return deploymentsOf(moduleId, desired, actual.desired, deployments);
}

function named(lines: readonly string[]): Named[] {
  const modules = new Map<RecordKey, Named>();
  for (const line of lines) {
    if (isRefusedMark(line)) throw new HubferryError('INTERNAL', 'A refused system module was stored.');
    const record = parseLine(line);
    const { deviceId, moduleId } = record;
    const key = recordKey(deviceId, moduleId);
    if (modules.has(key)) {
      throw new HubferryError(
        'SNAPSHOT_DUPLICATE',
        `In the desired state, module ${quoted(moduleId ?? '')} of ${quoted(deviceId)} stands twice.`,
      );
    }
    modules.set(key, { key, record });
  }
  return [...modules.values()];
}

/** `$edgeAgent` and `$edgeHub`, which the hub makes with every edge device. */
const isOfHub = ({ moduleId }: RegistryRecord): boolean => moduleId?.startsWith('$') === true;

const isEmpty = (section: object): boolean => Object.keys(section).length === 0;

function stateOf(desired: RegistryRecord, actual: RegistryRecord | null): ModuleState {
  if (actual === null) return 'missing';
  const differing = [
    ...(jsonEqual(desired.desired, actual.desired) ? [] : [actual.desired]),
    ...(isOfHub(desired) || jsonEqual(desired.tags, actual.tags) ? [] : [actual.tags]),
  ];
  // A module of the target with keys of its own is another one.
  if (!isSystemModule(actual)) return 'different';
  if (differing.length === 0) return 'equal';
  return differing.every(isEmpty) ? 'fresh' : 'different';
}

function lostTagsOf(modules: readonly Named[], theirs: readonly RegistryRecord[]): RecordKey[] {
  return modules
    .filter(({ record }) => {
      const actual = theirs.find(({ moduleId }) => moduleId === record.moduleId);
      return isOfHub(record) && !isEmpty(record.tags) && !jsonEqual(record.tags, actual?.tags ?? {});
    })
    .map(({ key }) => key);
}

/** What is to be done about one manifest, as it is stored between the plan and the calls that carry it out. */
export interface ManifestChange {
  /** Of the edge device. */
  readonly id: string;
  /** `update` where something that the target has is replaced. */
  readonly kind: 'create' | 'update';
  readonly enabled: boolean;
  /** Whether desired properties or a module are due; else only tags. */
  readonly apply: boolean;
  readonly modules: readonly ModuleChange[];
  /** Modules that only the target has, with their desired properties: what a manifest does not name is removed. */
  readonly others: readonly { readonly moduleId: string; readonly desired: string }[];
}

/** One module of a manifest; sections as JSON text, byte for byte. */
export interface ModuleChange {
  readonly moduleId: string;
  readonly desired: string;
  /** Null for those of the hub, whose tags nothing can write. */
  readonly tags: string | null;
  readonly due: 'create' | 'update' | null;
  /** Whether the target's tags differ, or it has no such module. */
  readonly tagsDue: boolean;
  /** The ETag of the target's twin when the change was planned; null where there was none. */
  readonly eTag: string | null;
}

/** The change that makes a manifest of the target equal to the source's. */
export function manifestChange({ deviceId: id, enabled, modules, others }: Manifest): ManifestChange {
  const changes = modules.map(({ desired: record, actual, state }): ModuleChange => {
    const { raw } = record;
    const ofHub = isOfHub(record);
    return {
      moduleId: record.moduleId ?? '',
      desired: raw.desired ?? '{}',
      tags: ofHub ? null : (raw.tags ?? '{}'),
      due: dueOf(state),
      tagsDue: !ofHub && !jsonEqual(record.tags, actual?.tags ?? {}),
      eTag: actual === null ? null : (actual.twinETag ?? ''),
    };
  });
  return {
    id,
    kind: changes.some(({ due }) => due === 'update') ? 'update' : 'create',
    enabled,
    apply: modules.some(
      ({ desired, actual, state }) =>
        actual === null || (state !== 'equal' && !jsonEqual(desired.desired, actual.desired)),
    ),
    modules: changes,
    others: others.map(({ moduleId, raw }) => ({ moduleId: moduleId ?? '', desired: raw.desired ?? '{}' })),
  };
}

/** What is done about a module in this state when its manifest is restored. */
export function dueOf(state: ModuleState): ModuleChange['due'] {
  if (state === 'equal') return null;
  return state === 'different' ? 'update' : 'create';
}

/** Under which key a manifest stands in a plan: no module may have such an id. */
export const manifestKey = (deviceId: string): RecordKey => recordKey(deviceId, '$manifest');

/** What a manifest desires: the same text for the same content, in whatever order an export has its modules. */
export function manifestContent({ modules }: ManifestChange): string {
  const texts = modules.map(({ moduleId, desired, tags }) =>
    [JSON.stringify(moduleId), desired, ...(tags === null ? [] : [tags])].join(' '),
  );
  return texts.toSorted().join('\n');
}

/** The body of `applyConfigurationContent`. It must name `$edgeAgent` (facts §1.7). */
export function manifestBody({ modules, others }: ManifestChange): string {
  const agent = modules.some(({ moduleId }) => moduleId === '$edgeAgent');
  const all = [...(agent ? [] : [{ moduleId: '$edgeAgent', desired: '{}' }]), ...modules, ...others];
  const content = all.map(
    ({ moduleId, desired }) => `${JSON.stringify(moduleId)}:{"properties.desired":${desired}}`,
  );
  return `{"modulesContent":{${content.join(',')}}}`;
}
