import { planBlob, SAMPLES_BLOB, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import { parseConfiguration } from '../registry/configurations.js';
import { configurationContentOf } from '../registry/content.js';
import { configurationDigest, planHash, saltedDigest } from '../registry/digest.js';
import { manifestContent, manifestKey } from '../registry/manifests.js';
import {
  configurationSample,
  manifestSample,
  type PlanSample,
  SAMPLES_EACH,
} from '../registry/plan-sample.js';
import type { Policy } from '../registry/policy.js';
import { KEPT_PLAN, type KeptChange, mergedChange } from '../registry/undo.js';
import { configurationChanges, configurationsOf } from './configurations.js';
import type { Deps } from './deps.js';
import { changesIn } from './manifests.js';
import { allOwnLines, ownLines, workBlob } from './work.js';

export interface SealPlanInput {
  readonly account: string;
  readonly work: string;
  readonly run: string;
  readonly pass: number;
  readonly partitions: number;
  readonly policy: Policy;
  /** Another one for every run, and the same for every attempt. */
  readonly salt: string;
  /** Whether this is the run's plan, of which key, kind and a salted digest stay after the run. */
  readonly keep: boolean;
  /** Whether earlier plans of the run were carried out: what stays of them stays in the file. Left out: no. */
  readonly followed?: boolean;
  /** Whether manifests were compared, too; not in histories of 0.1. */
  readonly manifests?: boolean;
  /** Whether configurations were compared, too; not in histories of 0.1. */
  readonly configurations?: boolean;
}

export interface KeepSamplesInput {
  readonly account: string;
  readonly work: string;
  readonly pass: number;
  readonly partitions: number;
  /** The container that the samples outlive the run in. */
  readonly container: string;
}

export function planActivities({ connections }: Deps) {
  return {
    /** Keeps some changes of each kind, field by field and without keys, beside the snapshot that was planned against. */
    async keepSamples({ account, work, pass, partitions, container }: KeepSamplesInput): Promise<void> {
      const storage = connections.storage(account);
      const kept: PlanSample[] = [];
      const isWanted = ({ kind, change }: Pick<PlanSample, 'kind' | 'change'>): boolean =>
        kept.filter((one) => one.kind === kind && one.change === change).length < SAMPLES_EACH;
      const add = (sample: PlanSample): void => {
        if (isWanted(sample)) kept.push(sample);
      };
      for (let partition = 0; partition < partitions; partition++) {
        const text = await storage.readText(work, workBlob.samples(pass, partition));
        (JSON.parse(text ?? '[]') as PlanSample[]).forEach(add);
      }
      for (let partition = 0; partition < partitions; partition++) {
        for await (const { name } of storage.list(work, workBlob.manifests(pass, partition)))
          for await (const change of changesIn(storage, work, name)) add(manifestSample(change));
      }
      const actual = new Map((await configurationsOf(storage, container)).map((one) => [one.id, one]));
      for (const { id, content } of await configurationChanges(storage, work))
        add(configurationSample(parseConfiguration(content), actual.get(id) ?? null));
      await storage.writeText(container, SAMPLES_BLOB, JSON.stringify(kept, null, 2));
    },

    /** Hashes the changes of a pass, and stores what may stay of a plan: no content, only keys, kinds and digests. */
    async sealPlan(input: SealPlanInput): Promise<{ hash: string }> {
      const { account, work, pass, partitions, policy } = input;
      const storage = connections.storage(account);
      const digests: Buffer[] = [];
      for (let partition = 0; partition < partitions; partition++) {
        for await (const bytes of await storage.read(work, workBlob.digests(pass, partition)))
          digests.push(bytes);
        const blob = workBlob.manifestDigests(pass, partition);
        if (input.manifests !== true || (await storage.size(work, blob)) === null) continue;
        for await (const bytes of await storage.read(work, blob)) digests.push(bytes);
      }
      const configurations = input.configurations === true ? await configurationChanges(storage, work) : [];
      digests.push(...configurations.map(({ kind, id, content }) => configurationDigest(kind, id, content)));
      const hash = planHash(Buffer.concat(digests), policy);
      if (input.keep) {
        const { salt } = input;
        const writer = storage.writer(SHARED_CONTAINER, planBlob(input.run));
        await writer.write(
          `${JSON.stringify({ version: KEPT_PLAN, plan: hash, run: input.run, policy, salt })}\n`,
        );
        for (let partition = 0; partition < partitions; partition++) {
          const before =
            input.followed === true
              ? await keptBefore(storage, work, workBlob.followed(partition))
              : NONE_BEFORE;
          for await (const line of keptChanges(storage, input, partition)) {
            const kept = before.size === 0 ? line : mergedLine(before, line);
            if (kept !== null) await writer.write(`${kept}\n`);
          }
          for (const line of before.values()) await writer.write(`${JSON.stringify(line)}\n`);
        }
        const before =
          input.followed === true
            ? await keptBefore(storage, work, workBlob.followedConfigurations)
            : NONE_BEFORE;
        for (const { kind, id, content } of configurations) {
          const digest =
            kind === 'delete'
              ? null
              : saltedDigest(salt, configurationContentOf(parseConfiguration(content)));
          const kept = mergedLine(before, JSON.stringify({ configuration: id, kind, digest }));
          if (kept !== null) await writer.write(`${kept}\n`);
        }
        for (const line of before.values()) await writer.write(`${JSON.stringify(line)}\n`);
        await writer.close();
      }
      return { hash };
    },
  };
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
  { work, pass, salt }: Pick<SealPlanInput, 'work' | 'pass' | 'salt'>,
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
