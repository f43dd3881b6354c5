import type { DeviceIdentity, Hub, ModuleIdentity } from '../azure/hub.js';
import { HubAnswerError } from '../azure/hub-errors.js';
import { HubferryError } from '../registry/errors.js';
import {
  isAbout,
  isExportWarning,
  type Learnt,
  learntOfIdentity,
  learntOfTwin,
  withLearnt,
  withoutKeys,
} from '../registry/keyless.js';
import { parseLine } from '../registry/line.js';
import { partitionCount, partitionOf } from '../registry/partition.js';
import { type RegistryRecord, recordKey } from '../registry/record.js';
import { snapshotLines } from './backup-export.js';
import type { Deps } from './deps.js';
import { patiently, unlessRefused } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { PartitionWriters } from './partitions.js';
import { type Sampled, Sampler } from './sampler.js';
import { allOwnLines, DEVICES_BLOB, OWN_LINE_LIMIT, workBlob } from './work.js';

/** An export without keys, in the container of its job. */
export interface SplitExportInput {
  readonly account: string;
  readonly container: string;
  readonly work: string;
  readonly partitionBytes: number;
}

export interface KeylessExportInput {
  readonly account: string;
  readonly host: string;
  readonly container: string;
  readonly work: string;
  readonly partitions: number;
}

/** All twins of devices, and all of modules: no other form of query is sure to show how each proves who it is. */
const QUERIES = ['SELECT * FROM devices', 'SELECT * FROM devices.modules'];

/** What stands in a line of what was learnt. */
type LearntLine = Learnt & { readonly key: string };

/**
 * What an export without keys lacks besides: types of authentication and thumbprints (facts §2.1). A query tells them, in
 * an order of its own, so both are split by device id and joined partition by partition.
 */
export function keylessActivities({ connections }: Deps) {
  return {
    /**
     * Splits an export without keys. The warning at its beginning is left out.
     *
     * @returns `open`: records whose authentication is not in it.
     * @throws HubferryError SNAPSHOT_… for a damaged export
     */
    async splitExport(input: SplitExportInput): Promise<{ partitions: number; open: number }> {
      const { container } = input;
      const storage = connections.storage(input.account);
      const bytes = (await storage.size(container, DEVICES_BLOB)) ?? 0;
      const partitions = partitionCount(bytes, input.partitionBytes);
      const writers = new PartitionWriters(storage, input.work, (at) => workBlob.exported(container, at));
      let open = 0;
      // Lines over the limit of the run are carried along: they are counted, and refused, like any others.
      const mayBegin = (line: string): boolean => !isExportWarning(line);
      const lines = snapshotLines(storage, container, OWN_LINE_LIMIT, { mayBegin });
      for await (const batch of lines)
        for (const { record, text, offset } of batch) {
          if (record === null || text === null)
            throw new HubferryError(
              'SNAPSHOT_DAMAGED',
              `The export in ${container} has a line of more than ${OWN_LINE_LIMIT} bytes, at byte ${offset}.`,
            );
          if (record.authentication === null) open += 1;
          await writers.write(partitionOf(record.deviceId, partitions), text);
        }
      await writers.close();
      return { partitions, open };
    },

    /** Writes down what queries tell of all devices and modules. Where the hub takes no queries, that is nothing. */
    async learnAuthentication(input: KeylessExportInput): Promise<Counted<null>> {
      const { container, partitions } = input;
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const writers = new PartitionWriters(storage, input.work, (at) => workBlob.learnt(container, at));
      await unlessRefused(async () => {
        for (const query of QUERIES) {
          for await (const page of hub.query(query, { each: patiently })) {
            for (const twin of page) {
              const learnt = learntOfTwin(twin);
              const { deviceId, moduleId } = twin;
              if (learnt === null || typeof deviceId !== 'string') continue;
              const key = recordKey(deviceId, typeof moduleId === 'string' ? moduleId : null);
              const line: LearntLine = { key, ...learnt };
              await writers.write(partitionOf(deviceId, partitions), JSON.stringify(line));
            }
          }
        }
        return true;
      });
      await writers.close();
      return { value: null, calls: hub.takeCalls() };
    },

    /**
     * Puts what was learnt into the lines of an export without keys, before it becomes a snapshot: it takes the place of
     * what the hub's job wrote. What the query does not show, or shows of another state of a record (it lags, and shows
     * deleted ones for a while), is asked for by id. What cannot be learnt is left open.
     *
     * @returns the records that are left open.
     */
    async completeExport(input: KeylessExportInput): Promise<Counted<Sampled>> {
      const { container, work } = input;
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const open = new Sampler();
      const writer = storage.writer(container, DEVICES_BLOB);
      for (let partition = 0; partition < input.partitions; partition++) {
        const learnt = new Map<string, Learnt[]>();
        for (const text of await allOwnLines(storage, work, workBlob.learnt(container, partition))) {
          const { key, ...one } = JSON.parse(text) as LearntLine;
          learnt.set(key, [...(learnt.get(key) ?? []), one]);
        }
        for (const line of await allOwnLines(storage, work, workBlob.exported(container, partition))) {
          await writer.write(`${await completed(line, hub, learnt, open)}\n`);
        }
      }
      await writer.close();
      return { value: open.result(), calls: hub.takeCalls() };
    },
  };
}

async function completed(
  line: string,
  hub: Hub,
  learnt: ReadonlyMap<string, readonly Learnt[]>,
  open: Sampler,
): Promise<string> {
  const record = parseLine(line);
  if (record.authentication !== null) return withoutKeys(line, record);
  const key = recordKey(record.deviceId, record.moduleId);
  const listed = learnt.get(key)?.find((one) => isAbout(one, record));
  if (listed !== undefined) return withLearnt(line, listed);
  // The service's own modules have none that would matter to anybody.
  if (record.moduleId?.startsWith('$') === true) return line;
  const asked = await askedFor(hub, record);
  if (asked !== null) return withLearnt(line, asked);
  open.add(key);
  return line;
}

/** One record by its ids; null where there is none any more, or the hub does not tell. */
async function askedFor(hub: Hub, { deviceId, moduleId }: RegistryRecord): Promise<Learnt | null> {
  try {
    const identity = await patiently<DeviceIdentity | ModuleIdentity | null>(() =>
      moduleId === null ? hub.getDevice(deviceId) : hub.getModule(deviceId, moduleId),
    );
    return identity && learntOfIdentity(identity);
  } catch (error) {
    // Under SAS a hub tells nothing of the modules of a disabled device (facts §1.5).
    if (moduleId !== null && error instanceof HubAnswerError && error.status === 401) return null;
    throw error;
  }
}
