import type { StoredRecord } from './records.js';

/** Through which door a record is looked at; each may lag behind writes by its own time (§1.6, §4). */
export type View = 'get' | 'query' | 'export';

/** Writes that become visible together: those of one job, or one REST call. */
export interface WriteGroup {
  /** True for import jobs, whose effects also hide from GET and exports. */
  readonly fromJob: boolean;
  /** Milliseconds since 1970 when the group was complete; undefined while its job runs. */
  finishedAt: number | undefined;
}

interface Hidden {
  readonly group: WriteGroup;
  /** What the record was before the group, undefined when it did not exist. */
  readonly before: StoredRecord | undefined;
}

export interface Lags {
  readonly visibilityLag: number;
  readonly queryLag: number;
  readonly exportLag: number;
}

/**
 * Keeps, for recent writes, what the record was before, so that slow views still show it. Costs nothing while every
 * lag is zero. A record written by two groups within a lag keeps only its oldest state: good enough to make a tool
 * meet stale reads, which is all this is for.
 */
export class Visibility {
  readonly #hidden = new Map<string, Hidden>();

  constructor(
    readonly lags: Lags,
    readonly now: () => number,
  ) {}

  /** Must be called before the write, with the state that the write replaces. */
  noteWrite(key: string, before: StoredRecord | undefined, group: WriteGroup): void {
    const { queryLag, visibilityLag, exportLag } = this.lags;
    if (queryLag === 0 && (!group.fromJob || (visibilityLag === 0 && exportLag === 0))) return;
    const earlier = this.#hidden.get(key);
    if (earlier !== undefined && !this.#over(earlier.group))
      this.#hidden.set(key, { group, before: earlier.before });
    else this.#hidden.set(key, { group, before });
  }

  /** The record as `view` shows it, given what it is now. */
  see<T extends StoredRecord>(key: string, current: T | undefined, view: View): T | undefined {
    if (this.#hidden.size === 0) return current;
    const hidden = this.#hidden.get(key);
    if (hidden === undefined) return current;
    if (this.#over(hidden.group)) {
      this.#hidden.delete(key);
      return current;
    }
    return this.#shown(hidden.group, view) ? current : (hidden.before as T | undefined);
  }

  /** Records that are gone but that `view` still shows. `isGone` tells by key. */
  *ghosts(view: View, isGone: (key: string) => boolean): Iterable<StoredRecord> {
    for (const [key, hidden] of this.#hidden) {
      if (hidden.before !== undefined && isGone(key) && !this.#shown(hidden.group, view)) yield hidden.before;
    }
  }

  /** Forgets every difference between views. */
  forget(): void {
    this.#hidden.clear();
  }

  /** True when every view shows the current state of everything. */
  get settled(): boolean {
    return this.#hidden.size === 0;
  }

  #lag(group: WriteGroup, view: View): number {
    if (view === 'query') return this.lags.queryLag;
    if (!group.fromJob) return 0;
    return view === 'get' ? this.lags.visibilityLag : this.lags.exportLag;
  }

  #shown(group: WriteGroup, view: View): boolean {
    const lag = this.#lag(group, view);
    if (lag === 0) return true;
    return group.finishedAt !== undefined && this.now() >= group.finishedAt + lag;
  }

  #over(group: WriteGroup): boolean {
    return this.#shown(group, 'get') && this.#shown(group, 'query') && this.#shown(group, 'export');
  }
}
