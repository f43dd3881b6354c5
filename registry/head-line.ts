import { HubferryError } from './errors.js';
import { type DesiredLine, readDesiredLine } from './line.js';
import { QuickRecord } from './quick-line.js';
import { type Authentication, type JsonObject, type RegistryRecord } from './record.js';
import type { LineBytes } from './scan-line.js';

const NONE: readonly string[] = [];

/**
 * A plain device of a desired line of which only the beginning was looked at: the rest is read when somebody asks for it,
 * which for most of those that a plan creates nobody does. It has symmetric keys as hubs make them, and no parent.
 */
export class HeadRecord implements RegistryRecord {
  readonly #line: LineBytes;
  #read: RegistryRecord | undefined;

  constructor(
    readonly deviceId: string,
    line: LineBytes,
  ) {
    this.#line = line;
  }

  /** @throws HubferryError SNAPSHOT_LINE_… for a damaged line */
  get whole(): RegistryRecord {
    return (this.#read ??= recordIn(readDesiredLine(this.#line)));
  }

  get moduleId(): null {
    return null;
  }

  get iotEdge(): boolean {
    return false;
  }

  get deviceScope(): null {
    return null;
  }

  get parentScopes(): readonly string[] {
    return NONE;
  }

  get eTag(): null {
    return null;
  }

  get twinETag(): null {
    return null;
  }

  get status(): RegistryRecord['status'] {
    return this.whole.status;
  }

  get statusReason(): string {
    return this.whole.statusReason;
  }

  get authentication(): Authentication | null {
    return this.whole.authentication;
  }

  get tags(): JsonObject {
    return this.whole.tags;
  }

  get desired(): JsonObject {
    return this.whole.desired;
  }

  get raw(): RegistryRecord['raw'] {
    return this.whole.raw;
  }
}

function recordIn(line: DesiredLine): RegistryRecord {
  if (line.kind === 'record') return line.record;
  throw new HubferryError('INTERNAL', 'A mark has no beginning of a plain device.');
}

/** A record as a plain object: one that can be spread. */
export function plainRecord(record: RegistryRecord): RegistryRecord {
  if (record instanceof HeadRecord) return plainRecord(record.whole);
  if (!(record instanceof QuickRecord)) return record;
  const { hasUsualKeys: _keys, hasSmallTwin: _twin, ...parts } = record;
  return { ...parts, tags: record.tags, desired: record.desired };
}
