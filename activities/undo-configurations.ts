import type { Storage } from '../azure/storage.js';
import {
  type Configuration,
  compareConfigurations,
  inOrderOfCreation,
  printDesired,
  stepsOf,
} from '../registry/configurations.js';
import { configurationContentOf } from '../registry/content.js';
import { saltedDigest } from '../registry/digest.js';
import { type KeptConfiguration, undoingOf } from '../registry/undo.js';
import {
  type ConfigurationChangeLine,
  configurationsOf,
  listed,
  nameOf,
  sampled,
  Writes,
} from './configurations.js';
import type { Deps } from './deps.js';
import type { Counted } from './hub-job.js';
import type { Sampled } from './sampler.js';
import { allOwnLines, workBlob } from './work.js';

export interface UndoConfigurationsInput {
  readonly account: string;
  readonly work: string;
  /** The target's snapshots from before the run that is undone, and from now. */
  readonly before: string;
  readonly now: string;
  /** Whether what the run made is removed even where it was changed since. Left out: no. */
  readonly changedToo?: boolean;
}

/** What undoing the configurations of a run takes. */
export interface ConfigurationsUndo {
  readonly restore: number;
  readonly remove: number;
  /** Not as the run left them: left alone. */
  readonly foreign: Sampled;
}

export function undoConfigurationsActivities({ connections }: Deps) {
  return {
    /** Says what is to be undone of what a run did to configurations, as changes of this run's own plan. Nothing is sent. */
    async planConfigurationsUndo(input: UndoConfigurationsInput): Promise<ConfigurationsUndo> {
      const storage = connections.storage(input.account);
      const { restore, remove, foreign, actual } = await undoOf(storage, input);
      const there = new Set(actual.map(({ id }) => id));
      const changes: ConfigurationChangeLine[] = [
        ...restore.map((one) => {
          const kind = there.has(one.id) ? 'update' : 'create';
          return { id: one.id, kind, content: printDesired(one) } as const;
        }),
        ...remove.map(({ id }) => ({ id, kind: 'delete', content: '' }) as const),
      ];
      const text = changes.map((change) => `${JSON.stringify(change)}\n`).join('');
      await storage.writeText(input.work, workBlob.configurationChanges, text);
      const names = foreign.map(nameOf);
      const lines = names.map(
        (record) => `${JSON.stringify({ record, difference: 'changed since the run' })}\n`,
      );
      await storage.writeText(input.work, workBlob.configurationsLeftAlone, lines.join(''));
      return { restore: restore.length, remove: remove.length, foreign: sampled(names) };
    },

    /**
     * Makes configurations as they were before the run, one guarded call after the other, so that another attempt goes on
     * where this one broke off.
     *
     * @returns those that are not as they were, in the end.
     */
    async undoConfigurations(
      input: UndoConfigurationsInput & { readonly host: string },
    ): Promise<Counted<{ readonly open: Sampled }>> {
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const { restore, remove, actual } = await undoOf(storage, input);
      const writes = new Writes(hub, storage, input.work, (await listed(hub)) ?? []);
      for (const one of remove) await writes.remove(one);
      const { changes } = compareConfigurations(restore, actual, 'overwrite');
      for (const step of stepsOf(changes)) await writes.take(step);
      const now = new Map(((await listed(hub)) ?? []).map((one) => [one.id, configurationContentOf(one)]));
      const open = [
        ...remove.filter(({ id }) => now.has(id)),
        ...restore.filter((one) => now.get(one.id) !== configurationContentOf(one)),
      ];
      return { value: { open: sampled(open.map(({ id }) => nameOf(id))) }, calls: hub.takeCalls() };
    },
  };
}

interface Undo {
  /** As they were, in the order in which the target had created them. */
  readonly restore: readonly Configuration[];
  /** As the run left them. */
  readonly remove: readonly Configuration[];
  readonly foreign: readonly string[];
  readonly actual: readonly Configuration[];
}

async function undoOf(storage: Storage, input: UndoConfigurationsInput): Promise<Undo> {
  const [header = '{}', ...lines] = await allOwnLines(storage, input.work, workBlob.undoConfigurations);
  const { salt = '' } = JSON.parse(header) as { salt?: string };
  const before = await configurationsOf(storage, input.before);
  const actual = await configurationsOf(storage, input.now);
  const [was, is] = [before, actual].map((all) => new Map(all.map((one) => [one.id, one])));
  const digestOf = (content: string): string => saltedDigest(salt, content);
  const restore = new Set<string>();
  const remove: Configuration[] = [];
  const foreign: string[] = [];
  for (const line of lines) {
    const change = JSON.parse(line) as KeptConfiguration;
    const { configuration: id } = change;
    const [then, now] = [was?.get(id), is?.get(id)];
    const held = (one: Configuration | undefined): string | null =>
      one ? configurationContentOf(one) : null;
    const made = input.changedToo === true && then === undefined && now !== undefined;
    const undoing = made ? 'remove' : undoingOf(change, held(then), held(now), digestOf);
    if (undoing === 'restore') restore.add(id);
    else if (undoing === 'remove' && now !== undefined) remove.push(now);
    else if (undoing === 'foreign') foreign.push(id);
  }
  return {
    restore: inOrderOfCreation(before).filter(({ id }) => restore.has(id)),
    remove,
    foreign,
    actual,
  };
}
