import { compare, type Desired } from './compare.js';
import { foretell, seeOthers } from './foretell.js';
import { bookPlan, cleared, keepSnapshots, type Planned, preflight, refuse } from './gate.js';
import { EDITS_BLOB, type EditsInput, editsContainer, type RunReport, type WriteInput } from './messages.js';
import { keepNewKeys, warnOfNewKeys } from './new-keys.js';
import { reconciled } from './reconcile.js';
import { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';
import { bookWork, warnOfRoom } from './work.js';

/** Whatever edits name is made as they say. */
const POLICY = { existing: 'overwrite', extra: 'delete' } as const;

/**
 * Edits records of one hub: the same loop, in which the hub's own snapshot with the edits is desired, and only the
 * records that they are about are looked at. The snapshot is the way back.
 */
export async function edit({ list, rules, ...rest }: EditsInput): Promise<RunReport> {
  const input: WriteInput = { ...rest, ...POLICY };
  const { host } = input.target;
  const run = new Run(input, { workflow: 'edit', source: 'edits', target: host });
  return run.conduct(async () => {
    run.phase('preflight');
    const room = await preflight(run, input, null);
    await seeOthers(run, input);
    const planned = await plannedEdits(run, input, { list, rules });
    const { plan, before } = planned;
    bookPlan(run, plan);
    bookWork(run, input, plan, before, room);
    refuse(run, input, planned, room);
    warnOfRoom(run, input, plan, before, room);
    warnOfNewKeys(run, plan);
    await foretell(run, input, planned);
    const now = await cleared(run, input, planned, room, () => plannedEdits(run, input, { list, rules }));
    await keepNewKeys(run, input, now);
    return reconciled(run, input, now.desired, now.plan);
  });
}

async function plannedEdits(
  run: Run,
  input: WriteInput,
  { list, rules }: Pick<EditsInput, 'rules'> & { readonly list: EditsInput['list'] },
): Promise<Planned> {
  const { account, settings, target } = input;
  run.phase('snapshot');
  const before = await takeSnapshot(run, input, target.host);
  keepSnapshots(run, null, before);

  run.phase('transform');
  const { work, report } = run;
  await run.activities.light.createContainer({ account, container: work });
  const listed = list && { container: editsContainer(input.run), blob: EDITS_BLOB, sha256: list.sha256 };
  const edited = await run.activities.transfer.applyEdits({
    account,
    work,
    snapshot: before.id,
    sha256: before.sha256,
    bytes: before.bytes,
    partitionBytes: settings.partitionBytes,
    maxLineBytes: settings.maxLineBytes,
    ...(listed === undefined ? {} : { list: listed }),
    rules,
  });
  const { partitions, added, removed, system, untouched, tallies } = edited;
  const source = before.records + added - removed;
  Object.assign(report.ledger, { source, system, filtered: untouched });
  if (rules.length > 0) report.rules = [...tallies];
  const none = { count: 0, samples: [] };
  const desired: Desired = {
    snapshot: before.id,
    edges: work,
    partitions,
    systemModules: none,
    staleParents: none,
    refusedWithoutId: none,
    configurations: null,
    selected: true,
    together: true,
    newKeys: true,
  };

  run.phase('plan');
  return { desired, source: null, before, plan: await compare(run, input, desired, before, null) };
}
