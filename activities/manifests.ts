import type { Hub, Twin } from '../azure/hub.js';
import { HubAnswerError, isFull } from '../azure/hub-errors.js';
import type { Storage } from '../azure/storage.js';
import { jsonEqual } from '../registry/compare.js';
import { changeDigest } from '../registry/digest.js';
import { explained } from '../registry/error-log.js';
import { identityOfLine, parseLine } from '../registry/line.js';
import { actingDeployments } from '../registry/managed.js';
import {
  CHANGED,
  ManifestJudge,
  type ManifestOutcome,
  type ManifestTotals,
  type OwnManifests,
} from '../registry/manifest-totals.js';
import {
  compareManifests as compareAll,
  type ManifestChange,
  type ModuleChange,
  manifestBody,
  manifestContent,
  manifestKey,
} from '../registry/manifests.js';
import type { Policy } from '../registry/policy.js';
import { isJsonObject, type RecordKey, recordKey } from '../registry/record.js';
import { configurationsOf } from './configurations.js';
import type { Deps } from './deps.js';
import { patiently, type Visibility, whenVisible } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { allOwnLines, allPartitionLines, ownLines, partitionLines, targetEdges, workBlob } from './work.js';

export interface CompareManifestsInput {
  readonly account: string;
  readonly work: string;
  readonly pass: number;
  readonly partition: number;
  readonly existing: Policy['existing'];
  /** The passes whose manifests were sent, the plan's first; null before the first write. */
  readonly sent: readonly number[] | null;
  /** The snapshot that holds the configurations of the target that were there before the first write. */
  readonly configurations: string;
}

/** What one partition holds. */
export interface ManifestPart extends ManifestTotals {
  /** Blobs of manifests to send. */
  readonly chunks: number;
  /** Edge devices whose manifest is to be sent; not in histories of 0.1. */
  readonly sends?: number;
}

export interface SendManifestsInput {
  readonly account: string;
  readonly host: string;
  readonly work: string;
  readonly pass: number;
  readonly partition: number;
  readonly chunk: number;
  readonly targetSnapshot: string;
  /** How long a new device or module may stay invisible, and between two looks, ms. */
  readonly visible: number;
  readonly poll: number;
}

/** Manifests of one chunk: ten minutes of what one S1 unit takes (facts §5), so that little is done twice. */
const CHUNK = 200;

/** Manifests under way at a time: a hub delays what is over its rate, so more would only wait there. */
const AT_A_TIME = 4;

export function manifestActivities({ connections }: Deps) {
  return {
    /** Compares the manifests of one partition, counts every kind of difference, and writes down those to be sent. */
    async compareManifests(input: CompareManifestsInput): Promise<ManifestPart> {
      const { work, pass, partition, sent } = input;
      const storage = connections.storage(input.account);
      const source = await allPartitionLines(storage, work, workBlob.systemModules(partition));
      const own = sent && (await readOwn(storage, input, sent));
      const judge = new ManifestJudge(input.existing, own);
      const out = new ManifestWriter(storage, input);
      if (source.length > 0) {
        const desired = await allPartitionLines(storage, work, workBlob.desired(partition));
        const actual = await allPartitionLines(storage, work, workBlob.actual(pass, partition));
        const deployments = actingDeployments(await configurationsOf(storage, input.configurations));
        for (const found of compareAll({ desired, source, actual, deployments })) {
          const change = judge.count(found);
          if (change !== null) await out.add(change);
        }
      }
      return { ...judge.sum, ...(await out.close()) };
    },

    /**
     * Restores the manifests of one chunk. The service guards none of these calls by an ETag, so the twins of modules that
     * are there already are read before: what somebody else wrote since the plan is left alone. Sending a manifest twice
     * does no harm, so another attempt may begin anew.
     *
     * @returns how many planned modules stand in manifests that the hub took.
     */
    async sendManifests(input: SendManifestsInput): Promise<Counted<{ taken: number }>> {
      const { work, pass, partition, chunk } = input;
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const onTarget = await targetEdges(storage, input);
      const sender = new Sender(hub, { at: Date.now() + input.visible, poll: input.poll });
      const outcomes: ManifestOutcome[] = [];
      let taken = 0;
      const changes = changesIn(storage, work, workBlob.manifests(pass, partition, chunk));
      const send = async (): Promise<void> => {
        for (let next = await changes.next(); next.done !== true; next = await changes.next()) {
          const change = next.value;
          const outcome = onTarget.has(change.id)
            ? await sender.send(change)
            : refused(change, explained('DeviceNotFound'));
          outcomes.push(outcome);
          if (outcome.code === null) taken += change.modules.filter(({ due }) => due !== null).length;
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, send));
      const writer = storage.writer(work, workBlob.manifestsSent(pass, partition, chunk));
      for (const outcome of outcomes) await writer.write(`${JSON.stringify(outcome)}\n`);
      await writer.close();
      return { value: { taken }, calls: hub.takeCalls() };
    },
  };
}

/** The changes of one partition, in blobs of as many as one activity sends, and their digests for the hash. */
class ManifestWriter {
  readonly #storage: Storage;
  readonly #input: CompareManifestsInput;
  readonly #digests: Buffer[] = [];
  #lines: string[] = [];
  #chunks = 0;

  constructor(storage: Storage, input: CompareManifestsInput) {
    this.#storage = storage;
    this.#input = input;
  }

  async add(change: ManifestChange): Promise<void> {
    const digest = changeDigest(change.kind, manifestKey(change.id), manifestContent(change));
    this.#digests.push(Buffer.from(digest, 'latin1'));
    this.#lines.push(`${JSON.stringify(change)}\n`);
    if (this.#lines.length === CHUNK) await this.#flush();
  }

  /** @returns the number of blobs, and of manifests in them. */
  async close(): Promise<{ chunks: number; sends: number }> {
    const { work, pass, partition } = this.#input;
    await this.#flush();
    if (this.#digests.length > 0) {
      const writer = this.#storage.writer(work, workBlob.manifestDigests(pass, partition));
      await writer.write(Buffer.concat(this.#digests));
      await writer.close();
    }
    return { chunks: this.#chunks, sends: this.#digests.length };
  }

  async #flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const { work, pass, partition } = this.#input;
    const writer = this.#storage.writer(work, workBlob.manifests(pass, partition, this.#chunks));
    for (const line of this.#lines) await writer.write(line);
    await writer.close();
    this.#chunks += 1;
    this.#lines = [];
  }
}

/** The manifests in one blob of changes. */
export async function* changesIn(
  storage: Storage,
  container: string,
  blob: string,
): AsyncGenerator<ManifestChange> {
  for await (const batch of ownLines(storage, container, blob))
    for (const line of batch) yield JSON.parse(line) as ManifestChange;
}

/** What this run has sent of one partition, and what became of it. */
async function readOwn(
  storage: Storage,
  { work, partition }: CompareManifestsInput,
  passes: readonly number[],
): Promise<OwnManifests> {
  const [first = 0] = passes;
  const planned = new Map<RecordKey, 'create' | 'update'>();
  for await (const { name } of storage.list(work, workBlob.manifests(first, partition))) {
    for await (const { id, modules } of changesIn(storage, work, name))
      for (const { moduleId, due } of modules) if (due !== null) planned.set(recordKey(id, moduleId), due);
  }
  const outcomes = new Map<string, ManifestOutcome>();
  for (const pass of passes) {
    for await (const { name } of storage.list(work, workBlob.manifestsSent(pass, partition))) {
      for (const line of await allOwnLines(storage, work, name)) {
        const outcome = JSON.parse(line) as ManifestOutcome;
        outcomes.set(outcome.id, outcome);
      }
    }
  }
  const lines = new Map<RecordKey, string>();
  if (planned.size > 0) {
    for await (const batch of partitionLines(storage, work, workBlob.actual(first, partition))) {
      for (const line of batch) {
        const { deviceId, moduleId } = identityOfLine(line);
        const key = recordKey(deviceId, moduleId);
        if (planned.has(key)) lines.set(key, line);
      }
    }
  }
  const before: OwnManifests['before'] = (key) => {
    const line = lines.get(key);
    return line === undefined ? undefined : parseLine(line);
  };
  return { planned, outcomes, before };
}

/** Somebody else wrote to a module since the plan. */
class Changed extends Error {}

/** Sends manifests to one hub. */
class Sender {
  readonly #hub: Hub;
  readonly #visible: Visibility;

  /** @param visible of what an import made */
  constructor(hub: Hub, visible: Visibility) {
    this.#hub = hub;
    this.#visible = visible;
  }

  async send(change: ManifestChange): Promise<ManifestOutcome> {
    try {
      await this.#restore(change);
      return { id: change.id, code: null, reason: '', excused: false };
    } catch (error) {
      if (error instanceof Changed) return refused(change, explained(CHANGED));
      // Passing faults, and those that are none of the hub's, end the attempt.
      if (!(error instanceof HubAnswerError) || !(REFUSALS.has(error.status) || isFull(error))) throw error;
      // Under SAS a hub may not let the modules of a disabled device be touched (facts §1.5).
      const excused = error.status === 401 && !change.enabled;
      return { ...refused(change, explained(error.serviceCode ?? String(error.status))), excused };
    }
  }

  async #restore(change: ManifestChange): Promise<void> {
    const { id, modules } = change;
    for (const module of modules) {
      // A write of tags is guarded by itself.
      if (change.apply && module.eTag !== null && !module.tagsDue) await this.#checkUnchanged(change, module);
    }
    for (const module of modules) {
      if (module.eTag !== null && module.tagsDue) await this.#putTags(change, module, module.eTag);
    }
    if (!change.apply) return;
    const body = manifestBody(change);
    await this.#whenVisible(change, () => this.#hub.applyConfiguration(id, body));
    for (const { moduleId, eTag, tags, tagsDue } of modules) {
      // The module is new: merged, so that nothing that somebody else may have written at this moment is lost.
      if (eTag === null && tagsDue)
        await this.#whenVisible(change, () =>
          this.#hub.patchTwin({ deviceId: id, moduleId }, `{"tags":${tags ?? '{}'}}`, '*'),
        );
    }
  }

  /** Tags, and the desired properties with them: nothing says what a replacement without these would do to them. */
  async #putTags(change: ManifestChange, module: ModuleChange, eTag: string): Promise<void> {
    const { moduleId, tags, desired } = module;
    const twin = `{"tags":${tags ?? '{}'},"properties":{"desired":${desired}}}`;
    try {
      await patiently(() => this.#hub.putTwin({ deviceId: change.id, moduleId }, twin, eTag));
    } catch (error) {
      if (!(error instanceof HubAnswerError) || ![404, 412].includes(error.status)) throw error;
      const { desired: now, tags: theirs } = sectionsOf(await this.#twin(change, module));
      // An earlier call whose reply was lost is our own.
      if (!isText(desired, now) || !isText(tags ?? '{}', theirs)) throw new Changed();
    }
  }

  async #checkUnchanged(change: ManifestChange, module: ModuleChange): Promise<void> {
    const twin = await this.#twin(change, module);
    if (twin !== null && twin['etag'] === module.eTag) return;
    if (!isText(module.desired, sectionsOf(twin).desired)) throw new Changed();
  }

  #twin({ id }: ManifestChange, { moduleId }: ModuleChange): Promise<Twin | null> {
    return patiently(() => this.#hub.getTwin(id, moduleId));
  }

  /** A call about something that an import has just made, or that another manifest is being applied to. */
  async #whenVisible(change: ManifestChange, call: () => Promise<void>): Promise<void> {
    const passing = new Set(change.enabled ? [401, 404, 409] : [404, 409]);
    await whenVisible(this.#visible, passing, call);
  }
}

/** What a hub answers when it does not take a manifest; others pass, or end the run. */
const REFUSALS = new Set([400, 401, 403, 404, 409, 412, 413]);

function refused(
  { id }: ManifestChange,
  { code, reason }: { code: string; reason: string },
): ManifestOutcome {
  return { id, code, reason, excused: false };
}

/** The sections of a twin, without what the service wrote there; of no twin, nothing. */
function sectionsOf(twin: Twin | null): { tags: unknown; desired: unknown } {
  const properties = twin?.['properties'];
  const desired = isJsonObject(properties) ? properties['desired'] : undefined;
  return { tags: usersOf(twin?.['tags']), desired: usersOf(desired) };
}

function usersOf(section: unknown): unknown {
  if (!isJsonObject(section)) return section;
  return Object.fromEntries(
    Object.entries(section).filter(([name]) => name !== '$metadata' && name !== '$version'),
  );
}

const isText = (text: string, value: unknown): boolean => jsonEqual(JSON.parse(text), value);
