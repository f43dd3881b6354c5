import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { Hub } from '../azure/hub.js';
import { HubAnswerError } from '../azure/hub-errors.js';
import type { Storage } from '../azure/storage.js';
import {
  type Configuration,
  type ConfigurationChange,
  type ConfigurationPlan,
  type ConfigurationStep,
  compareConfigurations,
  configurationRefusal,
  differingConfigurationFields,
  inOrderOfCreation,
  isUnfinished,
  parseConfiguration,
  printDesired,
  stepsOf,
} from '../registry/configurations.js';
import { explained } from '../registry/error-log.js';
import { HubferryError } from '../registry/errors.js';
import type { Policy } from '../registry/policy.js';
import type { Rejected } from '../registry/refusal.js';
import { SAMPLES } from '../registry/totals.js';
import type { Deps } from './deps.js';
import { patiently } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import type { Sampled } from './sampler.js';
import { allOwnLines, CONFIGURATIONS_BLOB, workBlob } from './work.js';

/** What a manifest says of a snapshot's configurations, which stand in a blob of their own. */
export interface ConfigurationsInfo {
  readonly count: number;
  readonly sha256: string;
}

export interface ConfigurationsInput {
  readonly account: string;
  readonly work: string;
  /** The snapshot that holds the target's configurations of before the first write; null where they cannot be read. */
  readonly target: string | null;
  readonly existing: Policy['existing'];
}

export interface PlanConfigurationsInput extends ConfigurationsInput {
  /** The source's snapshot, and what its manifest says of its configurations. */
  readonly source: string;
  readonly info: ConfigurationsInfo;
}

export interface ConfigurationsOnHub extends ConfigurationsInput {
  readonly host: string;
}

/** Desired against actual. `source = refused + equal + kept + conflict + create + update`. */
export interface PlannedConfigurations {
  readonly source: number;
  readonly refused: { readonly count: number; readonly samples: readonly Rejected[] };
  readonly equal: number;
  readonly kept: Sampled;
  readonly conflict: Sampled;
  readonly create: number;
  readonly update: number;
  /** Pairs of equal priority of which on the target another one wins. */
  readonly ties: Sampled;
  /** Only on the target, and with a target condition: they may write to what arrives. */
  readonly acting: Sampled;
  readonly missing: Sampled;
  readonly different: Sampled;
}

/** What is there after the writes. */
export interface ArrivedConfigurations {
  /** Of the planned ones: those that are not as they should be. */
  readonly open: number;
  /** Of those: rejected by the hub with a reason. */
  readonly rejected: { readonly count: number; readonly samples: readonly Rejected[] };
  readonly missing: Sampled;
  readonly different: Sampled;
}

export function configurationsActivities({ connections }: Deps) {
  return {
    /**
     * Turns the source's configurations into those that are wanted on the target, compares these with what it has, and
     * writes down what is to be changed.
     *
     * @throws HubferryError SNAPSHOT_DAMAGED where they are not what the manifest says; SNAPSHOT_LINE_…
     */
    async planConfigurations(input: PlanConfigurationsInput): Promise<PlannedConfigurations> {
      const storage = connections.storage(input.account);
      const refused = await transformConfigurations(storage, input);
      const plan = await planOf(storage, input);
      const writer = storage.writer(input.work, workBlob.configurationChanges);
      for (const { act, desired } of plan.changes) {
        const line: ConfigurationChangeLine = {
          id: desired.id,
          kind: act === 'create' ? act : 'update',
          content: desired.text,
        };
        await writer.write(`${JSON.stringify(line)}\n`);
      }
      await writer.close();
      const created = plan.changes.filter(({ act }) => act === 'create');
      const differing = [...plan.conflict, ...plan.changes.filter(({ act }) => act !== 'create').map(wanted)];
      return {
        source: input.info.count,
        refused: { count: refused.length, samples: refused.slice(0, SAMPLES) },
        equal: plan.equal.length,
        kept: sampled(idsOf(plan.kept)),
        conflict: sampled(idsOf(plan.conflict)),
        create: created.length,
        update: plan.changes.length - created.length,
        ties: sampled(plan.ties.map(([loser, winner]) => `${winner} wins over ${loser}`)),
        acting: sampled(idsOf(plan.extra.filter(({ targetCondition }) => targetCondition !== ''))),
        missing: sampled(idsOf(created.map(wanted))),
        different: sampled(idsOf(differing)),
      };
    },

    /**
     * Makes the planned changes, one call after the other, each guarded, so that another attempt goes on where this one
     * broke off and nothing that somebody else wrote since the plan is overwritten.
     */
    async applyConfigurations(input: ConfigurationsOnHub): Promise<Counted<null>> {
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const { changes } = await planOf(storage, input);
      const writes = new Writes(hub, storage, input.work, (await listed(hub)) ?? []);
      const rejected = new Map<string, Rejected>();
      for (const step of stepsOf(changes)) {
        const { id } = step.change.desired;
        if (rejected.has(id)) continue;
        const rejection = await writes.take(step);
        if (rejection !== null) rejected.set(id, { record: nameOf(id), ...rejection });
      }
      const lines = [...rejected.values()].map((one) => `${JSON.stringify(one)}\n`);
      await storage.writeText(input.work, workBlob.configurationsRejected, lines.join(''));
      return { value: null, calls: hub.takeCalls() };
    },

    /** Reads the target's configurations again, and says what of the plan is not there. */
    async verifyConfigurations(input: ConfigurationsOnHub): Promise<Counted<ArrivedConfigurations>> {
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const plan = await planOf(storage, input);
      const rejections = await rejectionsOf(storage, input.work);
      const now = new Map(((await listed(hub)) ?? []).map((one) => [one.id, one]));
      const isThere = (one: Configuration): boolean => {
        const found = now.get(one.id);
        return found !== undefined && differingConfigurationFields(one, found).length === 0;
      };
      const open = plan.changes.map(wanted).filter((one) => !isThere(one));
      const rejected = open.flatMap(({ id }) => rejections.get(nameOf(id)) ?? []);
      const wrong = [...plan.equal, ...plan.changes.map(wanted)].filter((one) => !isThere(one));
      return {
        value: {
          open: open.length,
          rejected: { count: rejected.length, samples: rejected.slice(0, SAMPLES) },
          missing: sampled(idsOf(wrong.filter(({ id }) => !now.has(id)))),
          different: sampled(idsOf(wrong.filter(({ id }) => now.has(id)))),
        },
        calls: hub.takeCalls(),
      };
    },
  };
}

/** A line of the plan's changes. */
export interface ConfigurationChangeLine {
  readonly id: string;
  readonly kind: 'create' | 'update' | 'delete';
  /** The desired configuration; empty for a delete. */
  readonly content: string;
}

/** What is due in a run that has a plan for configurations; none where it has not. */
export async function configurationChanges(
  storage: Storage,
  work: string,
): Promise<ConfigurationChangeLine[]> {
  const lines = await allOwnLines(storage, work, workBlob.configurationChanges);
  return lines.map((line) => JSON.parse(line) as ConfigurationChangeLine);
}

/** How reports name a configuration: no record's key holds a space. */
export const nameOf = (id: string): string => `configuration ${id}`;

/**
 * Stores the hub's configurations beside a snapshot's records: no export job says in what order they were made.
 *
 * @returns null where the hub does not offer them, or does not allow to read them
 */
export async function sealConfigurations(
  storage: Storage,
  hub: Hub,
  container: string,
): Promise<ConfigurationsInfo | null> {
  const all = await patiently(() => hub.listConfigurations());
  if (all === null) return null;
  // JSON text may hold line ends between its tokens, where a space means the same.
  const text = all.map((one) => `${one.text.replaceAll(/[\r\n]/g, ' ')}\n`).join('');
  await storage.writeText(container, CONFIGURATIONS_BLOB, text);
  return { count: all.length, sha256: sha256(text) };
}

/** Writes down the source's configurations in the order of their creation. @returns those that no hub would take */
async function transformConfigurations(
  storage: Storage,
  { source, info, work }: PlanConfigurationsInput,
): Promise<Rejected[]> {
  const text = (await storage.readText(source, CONFIGURATIONS_BLOB)) ?? '';
  if (sha256(text) !== info.sha256) {
    throw new HubferryError(
      'SNAPSHOT_DAMAGED',
      `The configurations of snapshot ${source} are not what its manifest says: they were changed, or cut.`,
    );
  }
  const refused: Rejected[] = [];
  let desired = '';
  for (const one of inOrderOfCreation(linesOf(text).map(parseConfiguration))) {
    const refusal = configurationRefusal(one);
    if (refusal === null) desired += `${printDesired(one)}\n`;
    else refused.push({ record: nameOf(one.id), ...refusal });
  }
  await storage.writeText(work, workBlob.desiredConfigurations, desired);
  return refused;
}

/** The configurations of a snapshot; none where it has none, or for null. */
export async function configurationsOf(storage: Storage, snapshot: string | null): Promise<Configuration[]> {
  const text = snapshot === null ? null : await storage.readText(snapshot, CONFIGURATIONS_BLOB);
  return linesOf(text ?? '').map(parseConfiguration);
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The same plan each time: from what was stored, not from what the target holds meanwhile. */
async function planOf(storage: Storage, input: ConfigurationsInput): Promise<ConfigurationPlan> {
  const desired = await storage.readText(input.work, workBlob.desiredConfigurations);
  const actual = await configurationsOf(storage, input.target);
  return compareConfigurations(linesOf(desired ?? '').map(parseConfiguration), actual, input.existing);
}

async function rejectionsOf(storage: Storage, work: string): Promise<Map<string, Rejected>> {
  const lines = await allOwnLines(storage, work, workBlob.configurationsRejected);
  const rejections = lines.map((line) => JSON.parse(line) as Rejected);
  return new Map(rejections.map((one) => [one.record, one]));
}

export async function listed(hub: Hub): Promise<Configuration[] | null> {
  const all = await patiently(() => hub.listConfigurations());
  return all && all.map(({ text }) => parseConfiguration(text));
}

const wanted = ({ desired }: ConfigurationChange): Configuration => desired;
const idsOf = (list: readonly Configuration[]): string[] => list.map(({ id }) => id);
export const sampled = (names: readonly string[]): Sampled => ({
  count: names.length,
  samples: names.slice(0, SAMPLES),
});

/** Looks at a configuration that was found to be another than was known, and ms between them. */
const TRIES = 6;
const WAIT = 500;

/** It is not as it was known: our own call of which the reply was lost, somebody else's write, or a whim (facts §1.4). */
const STALE = new Set([404, 409, 412]);

type Rejection = Pick<Rejected, 'code' | 'reason'>;

/** The target's configurations, as far as they are known, and the calls that change them. */
export class Writes {
  readonly #hub: Hub;
  readonly #storage: Storage;
  readonly #work: string;
  readonly #known: Map<string, Configuration>;

  constructor(hub: Hub, storage: Storage, work: string, known: readonly Configuration[]) {
    this.#hub = hub;
    this.#storage = storage;
    this.#work = work;
    this.#known = new Map(known.map((one) => [one.id, one]));
  }

  /** @returns why the hub did not take it, or null. */
  take(step: ConfigurationStep): Promise<Rejection | null> {
    return this.#patiently(step.change.desired.id, () =>
      step.do === 'make' ? this.#make(step) : this.#finish(step.change),
    );
  }

  /** Deletes a configuration that still is as it was known. @returns why the hub did not take that, or null. */
  remove(before: Configuration): Promise<Rejection | null> {
    return this.#patiently(before.id, async () => {
      const now = this.#known.get(before.id);
      if (now === undefined) return null;
      if (!same(before, now)) return explained('412001');
      await this.#delete(now);
      return null;
    });
  }

  async #patiently(id: string, call: () => Promise<Rejection | null>): Promise<Rejection | null> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof HubAnswerError)) throw error;
        if (!STALE.has(error.status) || attempt === TRIES) return rejectionOf(error);
        if (attempt > 1) await Context.current().sleep(WAIT);
        await this.#look(id);
      }
    }
  }

  /** Creates a configuration, or deletes it and creates it again. */
  async #make({ change, armed }: Extract<ConfigurationStep, { do: 'make' }>): Promise<Rejection | null> {
    const { desired, before } = change;
    const now = this.#known.get(desired.id);
    if (now === undefined) {
      // Deleted since the plan: by us, to be made again, or by somebody else, and then not ours to bring back.
      if (before !== null && !(await this.#wasDeleted(desired.id))) return explained('404301');
    } else {
      if (same(desired, now) || isUnfinished(desired, now)) return null;
      if (before === null) return explained('409401');
      if (!same(before, now)) return explained('412001');
      await this.#storage.writeText(this.#work, workBlob.configurationDeleted(desired.id), '');
      await this.#delete(now);
    }
    try {
      await this.#put(desired.id, armed ? desired.text : printDesired(desired, false), null);
      return null;
    } catch (error) {
      if (before === null || !(error instanceof HubAnswerError) || STALE.has(error.status)) throw error;
      return await this.#putBack(before, rejectionOf(error));
    }
  }

  /** Updates a configuration, or gives one that was created without it its target condition. */
  async #finish({ desired, before }: ConfigurationChange): Promise<Rejection | null> {
    const now = this.#known.get(desired.id);
    if (now === undefined) return explained('404301');
    if (same(desired, now)) return null;
    const isOurs = isUnfinished(desired, now) || (before !== null && same(before, now));
    if (!isOurs) return explained('412001');
    await this.#put(desired.id, desired.text, now.etag ?? '');
    return null;
  }

  /** The hub does not take what should replace this one, so that is better than nothing. */
  async #putBack(before: Configuration, rejection: Rejection): Promise<Rejection> {
    try {
      await this.#put(before.id, printDesired(before), null);
      return { ...rejection, reason: `${rejection.reason}; the one before is back` };
    } catch (error) {
      if (!(error instanceof HubAnswerError)) throw error;
      return { ...rejection, reason: `${rejection.reason}, nor the one before again, which is gone` };
    }
  }

  async #put(id: string, body: string, ifMatch: string | null): Promise<void> {
    const { text } = await patiently(() => this.#hub.putConfiguration(id, body, ifMatch));
    this.#known.set(id, parseConfiguration(text));
  }

  async #delete({ id, etag }: Configuration): Promise<void> {
    await patiently(() => this.#hub.deleteConfiguration(id, etag ?? ''));
    this.#known.delete(id);
  }

  async #look(id: string): Promise<void> {
    const found = await patiently(() => this.#hub.getConfiguration(id));
    if (found === null) this.#known.delete(id);
    else this.#known.set(id, parseConfiguration(found.text));
  }

  async #wasDeleted(id: string): Promise<boolean> {
    return (await this.#storage.size(this.#work, workBlob.configurationDeleted(id))) !== null;
  }
}

const same = (a: Configuration, b: Configuration): boolean => differingConfigurationFields(a, b).length === 0;

/** The service's words for an invalid argument are about records elsewhere. */
function rejectionOf({ serviceCode, status }: HubAnswerError): Rejection {
  const rejection = explained(serviceCode ?? String(status));
  return rejection.code === '400004'
    ? { ...rejection, reason: 'the hub finds the configuration invalid' }
    : rejection;
}
