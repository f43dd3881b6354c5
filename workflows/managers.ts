import type { CarriedManagers } from '../activities/carry-managers.js';
import type { MigrateInput } from './messages.js';
import type { Run } from './run.js';

/**
 * Carries who manages the modules that arrived, where that is asked for: no export holds it, so either hub is asked once
 * for each device with modules. It changes no verdict.
 *
 * @param before the target's snapshot from before the first write.
 */
export async function carryManagers(
  run: Run,
  input: MigrateInput,
  { partitions, targetSnapshot: before }: { readonly partitions: number; readonly targetSnapshot: string },
): Promise<void> {
  const { account, existing, source, target } = input;
  if (input.managedBy !== true || source.kind !== 'hub') return;
  run.phase('apply');
  for (let partition = 0; partition < partitions; partition++) {
    for (let from: number | null = 0; from !== null; ) {
      const carried: CarriedManagers = await run.activities.transfer.carryManagers({
        account,
        work: run.work,
        source: source.host,
        target: target.host,
        pass: run.lastPass,
        partition,
        from,
        existing,
        configurations: before,
      });
      run.calls(source.host, carried.calls.source);
      run.calls(target.host, carried.calls.target);
      run.warn('MANAGED_BY_UNREADABLE', carried.unreadable.count, carried.unreadable.samples);
      run.warn('MANAGED_BY_KEPT', carried.kept.count, carried.kept.samples);
      from = carried.next;
    }
  }
}
