import { SAMPLES_BLOB } from '../azure/shared-container.js';
import { parseConfiguration } from '../registry/configurations.js';
import { configurationDigest, planHash } from '../registry/digest.js';
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
      if (input.keep) await writeKept(storage, { ...input, hash });
      return { hash };
    },
  };
}
