import { type Configuration, differingConfigurationFields } from './configurations.js';
import type { Comparison } from './reconcile.js';
import { isSystemModule } from './record.js';
import { SAMPLES } from './totals.js';

/** What became of one kind of things between two looks at a hub. */
export interface Changed {
  created: number;
  deleted: number;
  changed: number;
}

/** What changed on a hub between two snapshots, by kind. `configurations`: null where it does not tell them. */
export interface SourceChanges {
  devices: Changed;
  modules: Changed;
  systemModules: Changed;
  configurations: Changed | null;
}

const none = (): Changed => ({ created: 0, deleted: 0, changed: 0 });

/** Counts what changed between two snapshots of one hub: the earlier one stands for what is desired. */
export class SourceDifference {
  readonly #changes: SourceChanges = {
    devices: none(),
    modules: none(),
    systemModules: none(),
    configurations: null,
  };
  readonly #samples: string[] = [];

  /** Counts one record. A module whose device is in neither snapshot cannot be compared and does not count. */
  add(found: Comparison): void {
    if (found.kind === 'refused' || found.kind === 'equal' || found.kind === 'filtered') return;
    const { record } = found;
    const kind = isSystemModule(record) ? 'systemModules' : record.moduleId === null ? 'devices' : 'modules';
    if (found.kind === 'different') {
      this.#count(this.#changes[kind], 'changed', `${found.key} changed: ${found.fields.join(', ')}`);
    } else {
      const what = found.kind === 'missing' ? 'deleted' : 'created';
      this.#count(this.#changes[kind], what, `${found.key} ${what}`);
    }
  }

  /** Counts all configurations. */
  configurations(before: readonly Configuration[], after: readonly Configuration[]): void {
    const counts = none();
    this.#changes.configurations = counts;
    const later = new Map(after.map((one) => [one.id, one]));
    for (const one of before) {
      const now = later.get(one.id);
      later.delete(one.id);
      if (now === undefined) this.#count(counts, 'deleted', `configuration ${one.id} deleted`);
      else {
        const fields = differingConfigurationFields(one, now);
        if (fields.length > 0)
          this.#count(counts, 'changed', `configuration ${one.id} changed: ${fields.join(', ')}`);
      }
    }
    for (const id of later.keys()) this.#count(counts, 'created', `configuration ${id} created`);
  }

  #count(counts: Changed, what: keyof Changed, sample: string): void {
    counts[what] += 1;
    if (this.#samples.length < SAMPLES) this.#samples.push(sample);
  }

  result(): { readonly changes: SourceChanges; readonly samples: readonly string[] } {
    return { changes: this.#changes, samples: this.#samples };
  }
}

/** The kinds that a hub tells, each with its counts. */
export function kindsOf(changes: SourceChanges): (readonly [name: string, counts: Changed])[] {
  const { devices, modules, systemModules, configurations } = changes;
  return [
    ['devices', devices],
    ['modules', modules],
    ['system modules', systemModules],
    ...(configurations === null ? [] : [['configurations', configurations] as const]),
  ];
}

/** How many things changed, of any kind. */
export function changesIn(changes: SourceChanges): number {
  return kindsOf(changes).reduce(
    (sum, [, { created, deleted, changed }]) => sum + created + deleted + changed,
    0,
  );
}
