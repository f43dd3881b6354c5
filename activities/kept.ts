import { planBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import { type Change, parseChange } from '../registry/change.js';
import { parseConfiguration } from '../registry/configurations.js';
import { configurationContentOf, contentOf } from '../registry/content.js';
import { saltedDigest } from '../registry/digest.js';
import { identityOfLine, parseDesiredLine } from '../registry/line.js';
import { manifestContent, manifestKey } from '../registry/manifests.js';
import { lineIsToGenerate } from '../registry/new-keys.js';
import type { Policy } from '../registry/policy.js';
import { type RecordKey, recordKey } from '../registry/record.js';
import { KEPT_PLAN, type KeptChange, mergedChange } from '../registry/undo.js';
import { configurationChanges } from './configurations.js';
import type { Deps } from './deps.js';
import { changesIn } from './manifests.js';
import { NewKeys } from './new-keys.js';
import type { PartitionOfPass } from './plan-streams.js';
import { allOwnLines, ownLines, workBlob } from './work.js';

export interface KeepChangesInput extends PartitionOfPass {
  readonly account: string;
  /** Partitions from that one on. Left out: it alone. */
  readonly count?: number;
  readonly salt: string;
}

export interface KeepPlanInput {
  readonly account: string;
  readonly work: string;
  readonly run: string;
  readonly pass: number;
  readonly partitions: number;
  readonly policy: Policy;
  /** Another one for every run, and the same for every attempt. */
  readonly salt: string;
  /** Of the plan. */
  readonly hash: string;
  /** Whether earlier plans of the run were carried out: what stays of them stays in the file. Left out: no. */
  readonly followed?: boolean;
  /** Whether configurations were compared, too. */
  readonly configurations?: boolean;
}

export function keptActivities({ connections }: Deps) {
  return {
    /** Writes down what stays of some partitions of a plan after the run, from the changes that are about to be sent. */
    async keepChanges({ account, count = 1, ...of }: KeepChangesInput): Promise<void> {
      const storage = connections.storage(account);
      for (let partition = of.partition; partition < of.partition + count; partition++)
        await writeKeptChanges(storage, { ...of, partition });
    },

    /** Stores what may stay of a plan: no content, only keys, kinds and digests. */
    async keepPlan(input: KeepPlanInput): Promise<void> {
      await writeKept(connections.storage(input.account), input);
    },
  };
}

/** Whose each change of a partition is, its kind, and a digest of what it leaves. */
export async function writeKeptChanges(
  storage: Storage,
  { work, pass, partition, salt }: Omit<KeepChangesInput, 'account' | 'count'>,
): Promise<void> {
  const writer = storage.writer(work, workBlob.kept(pass, partition));
  const keys = new NewKeys(storage, work);
  const seen = new Set<RecordKey>();
  for await (const { name } of storage.list(work, workBlob.changes(pass, partition)))
    for await (const batch of ownLines(storage, work, name))
      for (const text of batch) {
        const change = parseChange(text);
        // Keys that the run makes count with their values, so that others in their place are seen.
        const sent = lineIsToGenerate(change.line) ? await keys.filled(change) : change;
        const kept = keptChange(sent, salt);
        // An update of identity and twin is two lines, each of which holds the whole record.
        if (seen.has(kept.key)) continue;
        seen.add(kept.key);
        const waits = writer.write(`${JSON.stringify(kept)}\n`);
        if (waits !== undefined) await waits;
      }
  await writer.close();
}

function keptChange({ part, line }: Change, salt: string): KeptChange {
  const read = part === 'delete' ? null : parseDesiredLine(line);
  if (read?.kind !== 'record') {
    const { deviceId, moduleId } = identityOfLine(line);
    return { key: recordKey(deviceId, moduleId), kind: 'delete', digest: null };
  }
  const { record, parent } = read;
  const key = recordKey(record.deviceId, record.moduleId);
  const kind = part === 'create' ? 'create' : 'update';
  return { key, kind, digest: saltedDigest(salt, contentOf(record, parent)) };
}

/** Puts what stays of all partitions of a plan, of its manifests and configurations together in one file. */
export async function writeKept(storage: Storage, input: KeepPlanInput): Promise<void> {
  const { work, policy, partitions, hash } = input;
  const configurations = input.configurations === true ? await configurationChanges(storage, work) : [];
  const { salt } = input;
  const writer = storage.writer(SHARED_CONTAINER, planBlob(input.run));
  await writer.write(`${JSON.stringify({ version: KEPT_PLAN, plan: hash, run: input.run, policy, salt })}\n`);
  for (let partition = 0; partition < partitions; partition++) {
    const before =
      input.followed === true ? await keptBefore(storage, work, workBlob.followed(partition)) : NONE_BEFORE;
    for await (const line of keptChanges(storage, input, partition)) {
      const kept = before.size === 0 ? line : mergedLine(before, line);
      if (kept !== null) await writer.write(`${kept}\n`);
    }
    for (const line of before.values()) await writer.write(`${JSON.stringify(line)}\n`);
  }
  const before =
    input.followed === true ? await keptBefore(storage, work, workBlob.followedConfigurations) : NONE_BEFORE;
  for (const { kind, id, content } of configurations) {
    const digest =
      kind === 'delete' ? null : saltedDigest(salt, configurationContentOf(parseConfiguration(content)));
    const kept = mergedLine(before, JSON.stringify({ configuration: id, kind, digest }));
    if (kept !== null) await writer.write(`${kept}\n`);
  }
  for (const line of before.values()) await writer.write(`${JSON.stringify(line)}\n`);
  await writer.close();
}

type KeptLine = Pick<KeptChange, 'kind' | 'digest'> & {
  readonly key?: string;
  readonly configuration?: string;
};

const NONE_BEFORE = new Map<string, KeptLine>();

const nameOf = ({ key, configuration }: KeptLine): string => key ?? `configuration ${configuration}`;

/** What stays of earlier plans of the run, by what it is about. */
async function keptBefore(storage: Storage, work: string, blob: string): Promise<Map<string, KeptLine>> {
  const lines = await allOwnLines(storage, work, blob);
  return new Map(lines.map((line) => JSON.parse(line) as KeptLine).map((line) => [nameOf(line), line]));
}

/** One line of what stays of this plan, put together with that of earlier ones, which it is taken from; null for none. */
function mergedLine(before: Map<string, KeptLine>, text: string): string | null {
  const line = JSON.parse(text) as KeptLine;
  const name = nameOf(line);
  const merged = mergedChange(before.get(name), line);
  before.delete(name);
  return merged && JSON.stringify(merged);
}

/** What stays of the changes of records and manifests in one partition of a plan. */
async function* keptChanges(
  storage: Storage,
  { work, pass, salt }: Pick<KeepPlanInput, 'work' | 'pass' | 'salt'>,
  partition: number,
): AsyncGenerator<string> {
  for await (const batch of ownLines(storage, work, workBlob.kept(pass, partition))) yield* batch;
  for await (const { name } of storage.list(work, workBlob.manifests(pass, partition))) {
    for await (const change of changesIn(storage, work, name)) {
      const digest = saltedDigest(salt, manifestContent(change));
      yield JSON.stringify({ key: manifestKey(change.id), kind: change.kind, digest });
    }
  }
}
