import type { StoredRecord } from './records.js';

/**
 * Through which door a record is looked at; all but `now` may lag behind writes by a time of their own (§1.6, §4).
 * Statistics are a query.
 */
export type View = 'now' | 'get' | 'query' | 'export';

/** The writes of one import job, which GET and exports show together. */
export interface WriteGroup {
  /** Milliseconds since 1970 when the job ended; undefined while it runs. */
  finishedAt: number | undefined;
}

/** A write that some view may not show yet. */
interface PastWrite {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The import job that wrote; undefined for REST, which GET and exports show at once. */
  readonly group: WriteGroup | undefined;
  /** What the record was before, undefined when it did not exist. */
  readonly before: StoredRecord | undefined;
  readonly deletes: boolean;
}

export interface Lags {
  readonly visibilityLag: number;
  readonly queryLag: number;
  readonly exportLag: number;
  readonly queryGhosts: number;
}

/**
 * Keeps, for recent writes, what the record was before, so that slow views still show it. Costs nothing while every
 * lag is zero.
 */
export class Visibility {
  /** Writes of a record, oldest first, by its key; the record that was written last stands last. */
  readonly #past = new Map<string, PastWrite[]>();
  /** Modules in {@link #past} that were deleted, by device: nobody must walk all ghosts to find those of a device. */
  readonly #deletedModules = new Map<string, Set<string>>();

  constructor(
    readonly lags: Lags,
    readonly now: () => number,
  ) {}

  /** Must be called with each write: what it replaces, and what it leaves there. */
  noteWrite(
    key: string,
    before: StoredRecord | undefined,
    after: StoredRecord | undefined,
    group: WriteGroup | undefined,
  ): void {
    const { queryLag, queryGhosts, visibilityLag, exportLag } = this.lags;
    const lagging =
      queryLag > 0 ||
      (after === undefined && queryGhosts > 0) ||
      (group !== undefined && (visibilityLag > 0 || exportLag > 0));
    // A write that every view shows at once still covers an earlier one that they do not.
    if (!lagging && !this.#past.has(key)) return;
    this.#sweep();
    const writes = this.#past.get(key) ?? [];
    // What came before a write that everybody sees is of no use any more.
    writes.splice(0, writes.findLastIndex((write) => this.#over(write)) + 1);
    writes.push({ at: this.now(), group, before, deletes: after === undefined });
    this.#past.delete(key);
    this.#past.set(key, writes);
    const slash = key.indexOf('/');
    if (after !== undefined || slash === -1) return;
    const deviceId = key.slice(0, slash);
    const deleted = this.#deletedModules.get(deviceId);
    if (deleted === undefined) this.#deletedModules.set(deviceId, new Set([key]));
    else deleted.add(key);
  }

  /** The record as `view` shows it, given what it is now: as the latest write that the view shows has left it. */
  see<T extends StoredRecord>(key: string, current: T | undefined, view: View): T | undefined {
    if (this.#past.size === 0 || view === 'now') return current;
    const writes = this.#past.get(key);
    if (writes === undefined) return current;
    let seen: StoredRecord | undefined = current;
    for (let i = writes.length - 1; i >= 0; i--) {
      const write = writes[i];
      if (write === undefined || this.#shown(write, view)) break;
      seen = write.before;
    }
    return seen as T | undefined;
  }

  /** Keys of devices that `see` may show otherwise than they are now. */
  *devices(): Iterable<string> {
    this.#sweep();
    for (const key of this.#past.keys()) if (!key.includes('/')) yield key;
  }

  /** Keys of modules of a device that were deleted of late. */
  deletedModules(deviceId: string): Iterable<string> {
    return this.#deletedModules.get(deviceId) ?? [];
  }

  /** Lets every view show a record as it is now, or all records when no key is given. */
  forget(key?: string): void {
    if (key !== undefined) {
      this.#drop(key);
      return;
    }
    this.#past.clear();
    this.#deletedModules.clear();
  }

  /** Forgets the oldest writes as far as every view shows them. */
  #sweep(): void {
    for (const [key, writes] of this.#past) {
      if (!writes.every((write) => this.#over(write))) return;
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    if (!this.#past.delete(key)) return;
    const slash = key.indexOf('/');
    if (slash === -1) return;
    const deviceId = key.slice(0, slash);
    const deleted = this.#deletedModules.get(deviceId);
    if (deleted?.delete(key) === true && deleted.size === 0) this.#deletedModules.delete(deviceId);
  }

  #shown({ at, group, deletes }: PastWrite, view: View): boolean {
    const { lags } = this;
    if (view === 'query') {
      const lag = deletes ? lags.queryLag + lags.queryGhosts : lags.queryLag;
      return lag === 0 || this.now() >= at + lag;
    }
    const lag = group === undefined ? 0 : view === 'get' ? lags.visibilityLag : lags.exportLag;
    if (lag === 0) return true;
    return group?.finishedAt !== undefined && this.now() >= group.finishedAt + lag;
  }

  #over(write: PastWrite): boolean {
    return this.#shown(write, 'get') && this.#shown(write, 'query') && this.#shown(write, 'export');
  }
}
