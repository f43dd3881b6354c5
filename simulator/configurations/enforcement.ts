import { ServiceError } from '../errors.js';
import {
  type DeviceRecord,
  isModule,
  type ModuleRecord,
  type StoredRecord,
  systemModuleIds,
  type Twin,
} from '../records/records.js';
import { type RegistryStore, recordKey } from '../records/store.js';
import { changeTwin } from '../records/twins.js';
import type { WriteGroup } from '../records/visibility.js';
import type { Configuration } from './configuration.js';
import type { ContentKind, DesiredSetting, EdgeContent, TwinContent } from './content.js';
import { patchOf, removalOf } from './desired.js';
import { applyManifest } from './manifest.js';
import { appliedIds, type Status, type Statuses, statusesOf, statusesText } from './statuses.js';
import { isTarget } from './target.js';

/** A configuration with a content that is written to one twin. */
export type TwinConfiguration = Configuration & { readonly content: TwinContent };
/** An edge deployment. */
export type Deployment = Configuration & { readonly content: EdgeContent };

/** All configurations of a hub that can act, ordered so that the last one wins. */
export interface Acting {
  readonly devices: readonly TwinConfiguration[];
  readonly modules: readonly TwinConfiguration[];
  readonly deployments: readonly Deployment[];
}

/** Records that are looked at before other work gets its turn. */
const recordsPerTurn = 5_000;

/** Something that is to be done once its time has come. */
interface Due {
  readonly at: number;
  act(): void;
}

/**
 * Makes configurations act (§6): on all twins when one of them is written or deleted, and on each record that is
 * written. A twin is changed when the set of configurations that apply to it changes, or one of them was updated: what
 * somebody writes over it in between stays, as was seen live with manifests.
 */
export class Enforcement {
  readonly #waiting = new Map<string, Due>();
  #running = false;
  #changes = 0;
  #clears = 0;
  /** True while it writes itself: its own writes give it nothing to do. */
  #writing = false;

  /** @param closing ends all waiting. */
  constructor(
    readonly store: RegistryStore,
    readonly acting: () => Acting,
    readonly closing: AbortSignal,
  ) {}

  /** To be told of each write of a record by REST or an import. */
  recordWritten(record: StoredRecord, group: WriteGroup | undefined): void {
    if (this.#writing || !this.store.settings.configurationsAct) return;
    const { deviceId } = record;
    const moduleId = isModule(record) ? record.moduleId : undefined;
    if (this.store.settings.configurationLag === 0) {
      this.#actOn(deviceId, moduleId, group);
      return;
    }
    // Who is waited for already is looked at as it will be then.
    this.#later(recordKey(deviceId, moduleId), () => this.#actOn(deviceId, moduleId, undefined));
  }

  /**
   * To be told that a configuration was created, updated or deleted.
   * @param done called once it has acted.
   */
  configurationWritten(changed: Configuration, done: () => void): void {
    if (!this.store.settings.configurationsAct) return;
    const act = (): void => this.#sweep(this.#records(changed.content.kind), changed, done);
    if (this.store.settings.configurationLag === 0) act();
    // No record has a key like this one, and no two changes share one.
    else this.#later(`/${this.#changes++}`, act);
  }

  /** Forgets what is to be done. */
  clear(): void {
    this.#waiting.clear();
    this.#clears++;
  }

  #later(key: string, act: () => void): void {
    const { clock, settings } = this.store;
    if (!this.#waiting.has(key)) this.#waiting.set(key, { at: clock.now() + settings.configurationLag, act });
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const [key, due] = next;
        const left = due.at - this.store.clock.now();
        if (left > 0) {
          await this.store.clock.sleep(left, this.closing);
        } else {
          this.#waiting.delete(key);
          due.act();
        }
      }
    } catch (error) {
      if (!this.closing.aborted) throw error;
    } finally {
      this.#running = false;
    }
  }

  /** What came first is due first, as long as nobody changes the lag. */
  #next(): [string, Due] | undefined {
    for (const entry of this.#waiting) return entry;
    return undefined;
  }

  /** The records that configurations of a kind may be for. */
  *#records(kind: ContentKind): Generator<StoredRecord> {
    if (kind === 'none') return;
    for (const device of this.store.seeDevices('now')) {
      if (kind !== 'module') yield device;
      else yield* Array.from(this.store.seeModulesOf(device.deviceId, 'now'));
    }
  }

  /** Acts on all records: on some thousands before it returns, on the rest in between requests. */
  #sweep(records: Iterator<StoredRecord>, changed: Configuration, done: () => void): void {
    for (let count = 0; count < recordsPerTurn; count++) {
      const next = records.next();
      if (next.done === true) {
        done();
        return;
      }
      if (this.#concerns(next.value, changed)) this.#actOnAfter(next.value, changed);
    }
    const clears = this.#clears;
    setImmediate(() => {
      if (!this.closing.aborted && clears === this.#clears) this.#sweep(records, changed, done);
    });
  }

  /** True when the configuration targets the record, or did so. */
  #concerns(record: StoredRecord, { id, content: { kind }, target }: Configuration): boolean {
    const marked = kind === 'edge' ? this.store.module(record.deviceId, '$edgeAgent') : record;
    if (marked !== undefined && statusesOf(marked.twin.configurations).has(id)) return true;
    return isTarget(record, kind, target);
  }

  #actOnAfter(record: StoredRecord, changed: Configuration): void {
    const { kind } = changed.content;
    this.#write(() => {
      if (isModule(record)) this.#actOnModule(record.deviceId, record.moduleId, changed, undefined);
      else this.#actOnDevice(record.deviceId, kind === 'edge' ? 'edge' : 'device', changed, undefined);
    });
  }

  #actOn(deviceId: string, moduleId: string | undefined, group: WriteGroup | undefined): void {
    this.#write(() => {
      if (moduleId === undefined) {
        this.#actOnDevice(deviceId, 'device', undefined, group);
        this.#actOnDevice(deviceId, 'edge', undefined, group);
      } else if (systemModuleIds.some((id) => id === moduleId)) {
        this.#actOnDevice(deviceId, 'edge', undefined, group);
      } else {
        this.#actOnModule(deviceId, moduleId, undefined, group);
      }
    });
  }

  #write(work: () => void): void {
    this.#writing = true;
    try {
      work();
    } finally {
      this.#writing = false;
    }
  }

  #actOnDevice(
    deviceId: string,
    kind: 'device' | 'edge',
    changed: Configuration | undefined,
    group: WriteGroup | undefined,
  ): void {
    const device = this.store.device(deviceId);
    if (device === undefined) return;
    if (kind === 'edge') {
      this.#deploy(device, changed, group);
      return;
    }
    const twin = this.#configured(device, this.acting().devices, changed);
    if (twin !== device.twin) this.store.setDevice({ ...device, twin }, group);
  }

  #actOnModule(
    deviceId: string,
    moduleId: string,
    changed: Configuration | undefined,
    group: WriteGroup | undefined,
  ): void {
    const module = this.store.module(deviceId, moduleId);
    if (module === undefined) return;
    const twin = this.#configured(module, this.acting().modules, changed);
    if (twin !== module.twin) this.store.setModule({ ...module, twin }, group);
  }

  /** The twin that configurations make of a record's; the same one when they leave it alone. */
  #configured(
    record: StoredRecord,
    configurations: readonly TwinConfiguration[],
    changed: Configuration | undefined,
  ): Twin {
    const { twin } = record;
    const targeting = configurations.filter(({ content, target }) => isTarget(record, content.kind, target));
    if (targeting.length === 0 && twin.configurations === '{}') return twin;
    const winners = targeting.filter((one, i) => isHeard(one, targeting.slice(i + 1)));
    const before = statusesOf(twin.configurations);
    if (!isNews(before, winners, changed)) return withStatuses(twin, statusesFor(targeting, winners));
    const lost = this.#lostSettings(before, winners, configurations, changed);
    const settings = targeting.flatMap(({ content }) => content.settings);
    try {
      const written = rewritten(twin, lost, settings, this.store.clock.now());
      return withStatuses(written, statusesFor(targeting, winners));
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      // What fits into no twin is not applied.
      return withStatuses(twin, statusesFor(targeting, []));
    }
  }

  /** What is to be taken back of configurations that applied and do so no more. */
  #lostSettings(
    before: Statuses,
    winners: readonly Configuration[],
    configurations: readonly TwinConfiguration[],
    changed: Configuration | undefined,
  ): DesiredSetting[] {
    if (this.store.settings.configurationRemoval === 'leave') return [];
    const lost = appliedIds(before);
    for (const { id, content } of winners) {
      // One that was deleted may have come back under its id with another content, before its loss was acted on.
      if (id !== changed?.id || content === changed.content) lost.delete(id);
    }
    // One that was deleted is no longer among the others.
    const all =
      changed === undefined
        ? configurations
        : [...configurations.filter(({ id }) => id !== changed.id), changed];
    return all.flatMap(({ id, content }) =>
      lost.has(id) && (content.kind === 'device' || content.kind === 'module') ? content.settings : [],
    );
  }

  /**
   * Writes to the modules of an edge device what its base deployment and the layers on top of it say. Without any
   * the modules stay as they are (documented). The statuses stand at $edgeAgent.
   */
  #deploy(device: DeviceRecord, changed: Configuration | undefined, group: WriteGroup | undefined): void {
    const { deviceId } = device;
    const agent = this.store.module(deviceId, '$edgeAgent');
    // While an edge device is being made, its system modules come one after the other.
    if (agent === undefined || this.store.module(deviceId, '$edgeHub') === undefined) return;
    const targeting = this.acting().deployments.filter(({ target }) => isTarget(device, 'edge', target));
    if (targeting.length === 0 && agent.twin.configurations === '{}') return;
    const winners = layersOf(targeting);
    let applied: readonly Configuration[] = winners;
    if (winners.length > 0 && isNews(statusesOf(agent.twin.configurations), winners, changed)) {
      try {
        applyManifest(
          this.store,
          deviceId,
          winners.map(({ content }) => content),
          group,
        );
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        applied = [];
      }
    }
    this.#mark(this.store.module(deviceId, '$edgeAgent') ?? agent, statusesFor(targeting, applied), group);
  }

  #mark(module: ModuleRecord, statuses: Statuses, group: WriteGroup | undefined): void {
    const twin = withStatuses(module.twin, statuses);
    if (twin !== module.twin) this.store.setModule({ ...module, twin }, group);
  }
}

/** The base deployment that wins, then the layers of a higher priority; layers without a base do not apply. */
function layersOf(targeting: readonly Deployment[]): Deployment[] {
  const base = targeting.findLast(({ content }) => !content.layered);
  if (base === undefined) return [];
  return [base, ...targeting.filter(({ content, priority }) => content.layered && priority > base.priority)];
}

/** True when configurations of a higher rank leave something of this one's settings to be seen. */
function isHeard({ content }: TwinConfiguration, higher: readonly TwinConfiguration[]): boolean {
  if (content.settings.length === 0) return true;
  const covered = (path: readonly string[]): boolean =>
    higher.some((other) => other.content.settings.some((one) => isWithin(path, one.path)));
  return content.settings.some(({ path }) => !covered(path));
}

function isWithin(path: readonly string[], outer: readonly string[]): boolean {
  return outer.every((name, i) => path[i] === name);
}

/** True when the winners are others than before, or the one that was just written is among them. */
function isNews(
  before: Statuses,
  winners: readonly Configuration[],
  changed: Configuration | undefined,
): boolean {
  if (changed !== undefined && winners.some(({ id }) => id === changed.id)) return true;
  const old = appliedIds(before);
  return old.size !== winners.length || !winners.every(({ id }) => old.has(id));
}

function statusesFor(targeting: readonly Configuration[], applied: readonly Configuration[]): Statuses {
  const ids = new Set(applied.map(({ id }) => id));
  return new Map(targeting.map(({ id }): [string, Status] => [id, ids.has(id) ? 'Applied' : 'Targeted']));
}

function withStatuses(twin: Twin, statuses: Statuses): Twin {
  const configurations = statusesText(statuses);
  return configurations === twin.configurations ? twin : { ...twin, configurations };
}

/** One write, even where values are taken away and others set; none where nothing changes. */
function rewritten(
  twin: Twin,
  lost: readonly DesiredSetting[],
  settings: readonly DesiredSetting[],
  now: number,
): Twin {
  const tags = undefined;
  const without =
    lost.length === 0 ? twin : changeTwin(twin, { tags, desired: removalOf(lost) }, 'merge', now);
  const { desired } = changeTwin(without, { tags, desired: patchOf(settings) }, 'merge', now);
  if (desired === twin.desired) return twin;
  return {
    ...twin,
    desired,
    version: twin.version + 1,
    desiredVersion: twin.desiredVersion + 1,
    updatedAt: now,
  };
}
