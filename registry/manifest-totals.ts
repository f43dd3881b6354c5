import { jsonEqual } from './compare.js';
import { mayPass } from './error-log.js';
import {
  dueOf,
  type Manifest,
  type ManifestChange,
  type ManifestFound,
  type ManifestModule,
  manifestChange,
} from './manifests.js';
import type { Policy } from './policy.js';
import type { RecordKey, RegistryRecord } from './record.js';
import type { Rejected } from './refusal.js';
import { SAMPLES } from './totals.js';

/** Counts of system modules; of edge devices where that is said. `desired = equal + kept + missing + different`. */
export interface ManifestCounts {
  source: number;
  /** Of devices whose system modules are all empty: the hub makes them by itself. */
  system: number;
  refused: number;
  desired: number;
  equal: number;
  /** Of those: but for what deployments of the target write. */
  managed: number;
  /** Left as they are by policy. */
  kept: number;
  missing: number;
  different: number;
  /** Differ, and the policy forbids to go on; counted in `different` too. */
  conflict: number;
  /** Changes to send. */
  create: number;
  update: number;
  /** Modules of deployments to be made: they take room on the target. */
  added: number;
  /** Planned, and not as planned. */
  plannedOpen: number;
  /** Of those: the hub did not take the manifest. */
  rejected: number;
  /** Of those: not sent, or the hub does not let the modules of a disabled device be touched. */
  unsent: number;
  /** Of what is open: changed by somebody else since the plan, and left alone. */
  foreign: number;
  /** Of what is open: of disabled devices that the hub lets nobody touch. */
  excused: number;
  /** Of what is open: nobody needs to look twice. */
  explained: number;
  /** `$` modules whose tags cannot be carried. */
  lostTags: number;
  /** Edge devices of `excused`. */
  excusedEdges: number;
}

export interface ManifestTotals extends ManifestCounts {
  readonly samples: {
    readonly open: readonly string[];
    readonly conflict: readonly string[];
    readonly foreign: readonly string[];
    readonly managed: readonly string[];
    readonly excused: readonly string[];
    readonly lostTags: readonly string[];
    readonly refused: readonly Rejected[];
    readonly rejected: readonly Rejected[];
  };
}

export function emptyManifestTotals(): ManifestTotals {
  return {
    source: 0,
    system: 0,
    refused: 0,
    desired: 0,
    equal: 0,
    managed: 0,
    kept: 0,
    missing: 0,
    different: 0,
    conflict: 0,
    create: 0,
    update: 0,
    added: 0,
    plannedOpen: 0,
    rejected: 0,
    unsent: 0,
    foreign: 0,
    excused: 0,
    explained: 0,
    lostTags: 0,
    excusedEdges: 0,
    samples: {
      open: [],
      conflict: [],
      foreign: [],
      managed: [],
      excused: [],
      lostTags: [],
      refused: [],
      rejected: [],
    },
  };
}

/** The totals of two disjoint parts of a registry. */
export function addManifestTotals(a: ManifestTotals, b: ManifestTotals): ManifestTotals {
  const { samples: _ours, ...counts } = a;
  const { samples: _theirs, ...more } = b;
  const sum = Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [name, count + more[name as keyof ManifestCounts]]),
  ) as unknown as ManifestCounts;
  const first = <T>(x: readonly T[], y: readonly T[]): T[] => [...x, ...y].slice(0, SAMPLES);
  return {
    ...sum,
    samples: {
      open: first(a.samples.open, b.samples.open),
      conflict: first(a.samples.conflict, b.samples.conflict),
      foreign: first(a.samples.foreign, b.samples.foreign),
      managed: first(a.samples.managed, b.samples.managed),
      excused: first(a.samples.excused, b.samples.excused),
      lostTags: first(a.samples.lostTags, b.samples.lostTags),
      refused: first(a.samples.refused, b.samples.refused),
      rejected: first(a.samples.rejected, b.samples.rejected),
    },
  };
}

/** What became of one manifest that was to be sent. */
export interface ManifestOutcome {
  /** Of the edge device. */
  readonly id: string;
  /** Null where the hub took it; else its number, or name, of the fault. */
  readonly code: string | null;
  /** In our own words. */
  readonly reason: string;
  /** The device is disabled, and the hub lets nobody touch its modules. */
  readonly excused: boolean;
}

/** Stands for a manifest that was left alone since somebody else had changed it, as the hub's own number would. */
export const CHANGED = '412001';

/** What this run has sent. */
export interface OwnManifests {
  /** What the plan does with each module. */
  readonly planned: ReadonlyMap<RecordKey, 'create' | 'update'>;
  /** By device id: the newest. */
  readonly outcomes: ReadonlyMap<string, ManifestOutcome>;
  /** A module of the target as the plan found it. */
  readonly before: (key: RecordKey) => RegistryRecord | undefined;
}

/** Counts what was found, and says what is to be done about each manifest. */
export class ManifestJudge {
  readonly #counts: ManifestCounts;
  readonly #samples = {
    open: [] as string[],
    conflict: [] as string[],
    foreign: [] as string[],
    managed: [] as string[],
    excused: [] as string[],
    lostTags: [] as string[],
    refused: [] as Rejected[],
    rejected: [] as Rejected[],
  };
  readonly #existing: Policy['existing'];
  readonly #own: OwnManifests | null;

  /** @param own null before the first write. Afterwards only manifests of the plan may be sent again. */
  constructor(existing: Policy['existing'], own: OwnManifests | null) {
    const { samples: _samples, ...counts } = emptyManifestTotals();
    this.#counts = counts;
    this.#existing = existing;
    this.#own = own;
  }

  get sum(): ManifestTotals {
    return { ...this.#counts, samples: this.#samples };
  }

  /** @returns the change that is due, or null. */
  count(found: ManifestFound): ManifestChange | null {
    const counts = this.#counts;
    const count = found.modules.length;
    counts.source += count;
    if (found.kind === 'refused') {
      counts.refused += count;
      for (const { key } of found.modules) some(this.#samples.refused, { record: key, ...found.refusal });
      return null;
    }
    counts.lostTags += found.lostTags.length;
    for (const key of found.lostTags) some(this.#samples.lostTags, key);
    if (found.kind === 'empty') {
      counts.system += count;
      return null;
    }
    counts.desired += count;
    const open = found.modules.filter(({ state }) => state !== 'equal');
    counts.equal += count - open.length;
    for (const { key, managedBy } of found.modules) {
      if (managedBy.length === 0) continue;
      counts.managed += 1;
      some(this.#samples.managed, `${key}, by ${managedBy.join(', ')}`);
    }
    if (open.length === 0) return null;
    const change = this.#own === null ? this.#first(found, open) : this.#again(found, open, this.#own);
    if (change === null) return null;
    for (const { state, desired } of open) {
      const due = dueOf(state);
      if (due !== null) counts[due] += 1;
      if (state === 'missing' && desired.moduleId?.startsWith('$') === false) counts.added += 1;
    }
    return change;
  }

  /** Before the first write the policy decides. A manifest is taken or left as a whole. */
  #first(found: Manifest, open: readonly ManifestModule[]): ManifestChange | null {
    const counts = this.#counts;
    const differing = open.filter(({ state }) => state === 'different');
    if (this.#isKept(found, differing.length > 0)) {
      counts.kept += open.length;
      return null;
    }
    this.#open(open);
    if (differing.length === 0 || this.#existing !== 'fail') return manifestChange(found);
    counts.conflict += differing.length;
    counts.create += open.length - differing.length;
    for (const { key } of differing) some(this.#samples.conflict, key);
    return null;
  }

  /** After the first write only what the plan holds may be sent again, and only where nobody else has written. */
  #again(found: Manifest, open: readonly ManifestModule[], own: OwnManifests): ManifestChange | null {
    const counts = this.#counts;
    const planned = open.filter(({ key }) => own.planned.has(key));
    if (planned.length === 0) {
      const differs = open.some(({ state }) => state === 'different');
      if (this.#isKept(found, differs)) counts.kept += open.length;
      else this.#open(open);
      return null;
    }
    this.#open(open);
    counts.plannedOpen += planned.length;
    const outcome = own.outcomes.get(found.deviceId);
    const code = outcome?.code ?? null;
    if (outcome === undefined || outcome.excused) counts.unsent += planned.length;
    else if (code !== null) {
      counts.rejected += planned.length;
      for (const { key } of planned)
        some(this.#samples.rejected, { record: key, code, reason: outcome.reason });
    }
    const foreign = open.filter((module) => isForeign(module, own));
    if (foreign.length > 0) {
      counts.foreign += foreign.length;
      counts.explained += open.length;
      for (const { key } of foreign) some(this.#samples.foreign, key);
      return null;
    }
    if (outcome?.excused === true) {
      counts.excused += open.length;
      counts.excusedEdges += 1;
      some(this.#samples.excused, found.deviceId);
    }
    // Where nobody else's write shows, an ETag that moved is no reason not to try with the new one.
    if (code === null || code === CHANGED || mayPass(code)) return manifestChange(found);
    counts.explained += open.length;
    return null;
  }

  /** A device that is left as it is, and is no edge device on the target, can have no manifest. */
  #isKept({ place }: Manifest, differs: boolean): boolean {
    return this.#existing === 'skip' && (differs || place === 'other');
  }

  #open(open: readonly ManifestModule[]): void {
    for (const { key, state } of open) {
      if (state === 'missing') this.#counts.missing += 1;
      else this.#counts.different += 1;
      some(this.#samples.open, key);
    }
  }
}

/**
 * Whether somebody else wrote since the plan: the module is neither as the plan found it nor as it wants it. What the
 * plan did not find, the hub or our own call may have made, still without content.
 */
function isForeign({ key, state, actual }: ManifestModule, own: OwnManifests): boolean {
  const before = own.before(key);
  if (before === undefined) return state === 'different';
  return (
    actual === null ||
    !jsonEqual(before.desired, actual.desired) ||
    (!key.includes('/$') && !jsonEqual(before.tags, actual.tags))
  );
}

function some<T>(list: T[], item: T): void {
  if (list.length < SAMPLES) list.push(item);
}
