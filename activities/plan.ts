import { SAMPLES_BLOB } from '../azure/shared-container.js';
import { parseConfiguration } from '../registry/configurations.js';
import { configurationDigest, DIGEST_BYTES, planHash } from '../registry/digest.js';
import {
  configurationSample,
  manifestSample,
  type PlanSample,
  SAMPLES_EACH,
} from '../registry/plan-sample.js';
import { configurationChanges, configurationsOf } from './configurations.js';
import type { Deps } from './deps.js';
import { type KeepPlanInput, writeKept } from './kept.js';
import { changesIn } from './manifests.js';
import { workBlob } from './work.js';

export interface SealPlanInput extends Omit<KeepPlanInput, 'hash'> {
  /** Whether what stays of the plan is stored, too: in histories of 0.1, of which `reconcile` wrote it down. */
  readonly keep: boolean;
  /** Whether manifests were compared, too; not in histories of 0.1. */
  readonly manifests?: boolean;
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

    /** Hashes the changes of a pass. */
    async sealPlan(input: SealPlanInput): Promise<{ hash: string }> {
      const { account, work, pass, policy } = input;
      const storage = connections.storage(account);
      const folders = [workBlob.allDigests(pass)];
      if (input.manifests === true) folders.push(workBlob.allManifestDigests(pass));
      const blobs: string[] = [];
      let bytes = 0;
      for (const folder of folders)
        for await (const blob of storage.list(work, folder)) {
          blobs.push(blob.name);
          bytes += blob.bytes;
        }
      const configurations = input.configurations === true ? await configurationChanges(storage, work) : [];
      // One piece of memory for all: a million digests would be a burden twice over.
      const digests = Buffer.alloc(bytes + configurations.length * DIGEST_BYTES);
      let used = 0;
      for (const blob of blobs)
        for await (const part of await storage.read(work, blob)) used += part.copy(digests, used);
      for (const { kind, id, content } of configurations)
        used += configurationDigest(kind, id, content).copy(digests, used);
      const hash = planHash(digests.subarray(0, used), policy);
      if (input.keep) await writeKept(storage, { ...input, hash });
      return { hash };
    },
  };
}
