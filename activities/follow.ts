import { createHash } from 'node:crypto';
import { planBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import { HubferryError } from '../registry/errors.js';
import { withMembers } from '../registry/json-scan.js';
import { parseLine } from '../registry/line.js';
import { partitionCount, partitionOf } from '../registry/partition.js';
import type { RegistryRecord } from '../registry/record.js';
import type { KeptChange, KeptConfiguration, KeptPlanHeader } from '../registry/undo.js';
import { manifestIn, type SnapshotInfo, wholeSnapshot } from './backup-export.js';
import type { Deps } from './deps.js';
import { PartitionWriters, splitSnapshot } from './partitions.js';
import {
  allOwnLines,
  CONFIGURATIONS_BLOB,
  DEVICES_BLOB,
  EDGES_BLOB,
  MANIFEST_BLOB,
  ownLines,
  workBlob,
} from './work.js';

export interface StatusesInput {
  readonly account: string;
  readonly work: string;
  /** The source's snapshot from before it was disabled, and one from after that. */
  readonly before: string;
  readonly after: string;
  /** The status reason that the run has given to what it disabled. */
  readonly reason: string;
  /** Where the snapshot is put that is made of both. */
  readonly container: string;
  readonly partitionBytes: number;
  readonly maxLineBytes: number;
}

export function followActivities({ connections }: Deps) {
  return {
    /**
     * Splits what stays of the run's earlier plans by device, for the comparison of its next pass.
     *
     * @returns the salt of its digests
     * @throws HubferryError PLAN_NOT_KEPT
     */
    async splitFollowed(input: {
      account: string;
      work: string;
      run: string;
      partitions: number;
    }): Promise<{ salt: string }> {
      const { work, run, partitions } = input;
      const storage = connections.storage(input.account);
      const writers = new PartitionWriters(storage, work, workBlob.followed);
      const configurations = storage.writer(work, workBlob.followedConfigurations);
      let header: KeptPlanHeader | null = null;
      for await (const batch of ownLines(storage, SHARED_CONTAINER, planBlob(run))) {
        for (const line of batch) {
          if (header === null) {
            header = JSON.parse(line) as KeptPlanHeader;
            continue;
          }
          const { key } = JSON.parse(line) as Partial<KeptChange & KeptConfiguration>;
          const device = key?.split('/', 1)[0];
          if (device === undefined) await configurations.write(`${line}\n`);
          else await writers.write(partitionOf(device, partitions), line);
        }
      }
      await writers.closeAll(partitions);
      await configurations.close();
      if (header === null)
        throw new HubferryError(
          'PLAN_NOT_KEPT',
          `What the earlier passes of run ${run} did is not in storage.`,
        );
      return { salt: header.salt };
    },

    /**
     * Makes one snapshot of two of a source that the run has disabled in between: the later one, in which the devices that
     * were disabled by it have status and reason of the earlier one. Everything else stays byte for byte.
     *
     * @throws HubferryError SNAPSHOT_… for a damaged one
     */
    async restoreStatuses(input: StatusesInput): Promise<SnapshotInfo> {
      const storage = connections.storage(input.account);
      const { work, container, maxLineBytes, reason } = input;
      const [before, after] = [
        await manifestIn(storage, input.before),
        await manifestIn(storage, input.after),
      ];
      const partitions = partitionCount(Math.max(before.bytes, after.bytes), input.partitionBytes);
      const whole = ({ id, sha256 }: SnapshotInfo) =>
        wholeSnapshot(storage, { snapshot: id, sha256, maxLineBytes });
      const statuses = new PartitionWriters(storage, work, workBlob.statuses);
      for await (const batch of whole(before))
        for (const { record } of batch) {
          if (record === null || record.moduleId !== null) continue;
          const { deviceId, status, statusReason } = record;
          await statuses.write(
            partitionOf(deviceId, partitions),
            JSON.stringify([deviceId, status, statusReason]),
          );
        }
      await statuses.closeAll(partitions);
      const disabled = new PartitionWriters(storage, work, workBlob.disabled);
      await splitSnapshot(whole(after), disabled, partitions);

      const hash = createHash('sha256');
      const out = storage.writer(container, DEVICES_BLOB);
      let bytes = 0;
      for (let partition = 0; partition < partitions; partition++) {
        const were = await statusesOf(storage, work, partition);
        for (const text of await allOwnLines(storage, work, workBlob.disabled(partition))) {
          const line = Buffer.from(`${restored(text, were, reason)}\n`);
          hash.update(line);
          bytes += line.length;
          await out.write(line);
        }
      }
      await out.close();
      for (const blob of [EDGES_BLOB, CONFIGURATIONS_BLOB])
        await copyBlob(storage, after.id, container, blob);
      const { ranges: _, ...same } = after;
      const info: SnapshotInfo = { ...same, id: container, bytes, sha256: hash.digest('hex') };
      await storage.writeText(container, MANIFEST_BLOB, JSON.stringify(info));
      return info;
    },
  };
}

type Status = Pick<RegistryRecord, 'status' | 'statusReason'>;

async function statusesOf(storage: Storage, work: string, partition: number): Promise<Map<string, Status>> {
  const lines = await allOwnLines(storage, work, workBlob.statuses(partition));
  return new Map(
    lines.map((line) => {
      const [id, status, statusReason] = JSON.parse(line) as [
        string,
        Status['status'],
        Status['statusReason'],
      ];
      return [id, { status, statusReason }];
    }),
  );
}

function restored(text: string, were: ReadonlyMap<string, Status>, reason: string): string {
  const record = parseLine(text);
  if (record.moduleId !== null || record.statusReason !== reason) return text;
  const was = were.get(record.deviceId);
  if (was === undefined) return text;
  const values = { status: JSON.stringify(was.status), statusReason: JSON.stringify(was.statusReason) };
  return withMembers(text, values) ?? text;
}

async function copyBlob(storage: Storage, from: string, to: string, blob: string): Promise<void> {
  if ((await storage.size(from, blob)) === null) return;
  const writer = storage.writer(to, blob);
  for await (const part of await storage.read(from, blob)) await writer.write(part);
  await writer.close();
}
