import type { SnapshotInfo } from '../activities/backup-export.js';
import { emptyLedger } from '../registry/ledger.js';
import { told } from './failure.js';
import { completeKeyless, NOTHING_OPEN, warnOfExcludedKeys } from './keyless.js';
import type { JobRequest, JobResult, RunInput, RunReport, SnapshotInput } from './messages.js';
import { Run } from './run.js';

/** How many partitions' bytes a range of a snapshot has: an activity for each, which writes some of every partition. */
const RANGE_PARTITIONS = 4;

/** Export jobs tried for one snapshot before the run rests, and each time when it goes on. */
const ATTEMPTS = 3;

/** Takes an immutable copy of a hub's registry into storage. */
export async function snapshot(input: SnapshotInput): Promise<RunReport> {
  const { host } = input.source;
  const run = new Run(input, { workflow: 'snapshot', source: host, target: null });
  return run.conduct(async () => {
    const asked = await run.activities.ask.preflight({ account: input.account, source: host, target: null });
    for (const { host: hub, calls } of asked) run.calls(hub, calls);
    run.phase('snapshot');
    const taken = await takeSnapshot(
      run,
      input,
      host,
      input.excludeKeys === true ? 'without keys' : 'registry',
    );
    run.keep([taken.id]);
    warnOfExcludedKeys(run, taken);
    run.report.snapshots.source = taken.id;
    run.report.ledger.source = taken.records;
    run.report.ledger.system = taken.systemModules;
    run.report.ledger.desired = taken.records - taken.systemModules;
    run.report.ledger.unchanged = run.report.ledger.desired;
    if (taken.configurations) {
      const { count } = taken.configurations;
      run.report.ledger.configurations = {
        ...emptyLedger(),
        source: count,
        desired: count,
        unchanged: count,
      };
    } else if (taken.configurations === null) {
      run.warn('CONFIGURATIONS_UNKNOWN', 1, [`${host} does not tell them`]);
    }
    return 'done';
  });
}

/**
 * Runs the hub's export job into a container of its own and seals the result with a manifest.
 *
 * A job that does not end well is answered by a fresh one. An export with fewer devices than the hub counted both
 * before and after it is taken once more; the same number again is accepted, since statistics may lag (design §6).
 *
 * @param of `records`: without configurations; `without keys`: all but the keys of devices and modules.
 */
export async function takeSnapshot(
  run: Run,
  input: RunInput,
  host: string,
  of: 'registry' | 'records' | 'without keys' = 'registry',
): Promise<SnapshotInfo> {
  const { light, transfer } = run.activities;
  const { account, settings } = input;
  const excludeKeys = of === 'without keys';
  const containers = run.containers();
  let before = run.counted(host, await light.statistics({ host }));
  let short: number | null = null;
  let last = '';
  for (let attempt = 1; ; attempt++) {
    if (attempt > ATTEMPTS && attempt % ATTEMPTS === 1) {
      const message = `${host} did not deliver a whole export in ${ATTEMPTS} jobs; the last one: ${last}.`;
      await run.steering.mended(told('JOB_FAILED', message));
      before = run.counted(host, await light.statistics({ host }));
    }
    const container = containers(attempt);
    await light.createContainer({ account, container });
    const result = await run.job({
      host,
      account,
      type: 'export',
      container,
      lines: before.total,
      settings,
      ...(excludeKeys ? { excludeKeys } : {}),
    });
    if (result.outcome !== 'completed') {
      if (result.outcome === 'stuck' && result.adopted)
        await run.steering.park('SLOT_HELD', slotHeld(result, 'export', host));
      last = `${result.outcome}${result.reason ? `, ${result.reason}` : ''}`;
      run.warn('EXPORT_REPEATED', 1, [`${host}: ${last}`]);
      continue;
    }
    const open = excludeKeys ? await completeKeyless(run, input, host, container) : NOTHING_OPEN;
    const sealed = await transfer.sealSnapshot({
      account,
      container,
      host,
      maxLineBytes: settings.maxLineBytes,
      counted: before.total,
      rangeBytes: RANGE_PARTITIONS * settings.partitionBytes,
      configurations: of !== 'records',
      ...(excludeKeys ? { keyless: true } : {}),
    });
    const taken = run.counted(host, sealed);
    run.bookExported(host, taken.records);
    const after = run.counted(host, await light.statistics({ host }));
    // A line that is too long to be read is a device too, as far as anybody knows.
    const whole = taken.devices + taken.longLines >= Math.min(before.total, after.total);
    if (!whole && short === taken.devices)
      run.warn('STATISTICS_LAG', 1, [`${host}: ${taken.devices} devices exported, ${after.total} counted`]);
    if (whole || short === taken.devices) {
      run.warn('AUTHENTICATION_UNKNOWN', open.count, open.samples);
      return taken;
    }
    short = taken.devices;
    last = `${short} devices exported, ${after.total} counted`;
    before = after;
  }
}

/** Why a run rests for a job that did not end and cannot be proven to be ours, so that it was not cancelled. */
export const slotHeld = ({ jobId }: JobResult, type: JobRequest['type'], host: string): string =>
  `waits for ${type} job ${jobId} of ${host}, which does not end and may be somebody else’s`;

/** What names a range of a snapshot to an activity. */
export type Piece = { readonly range?: NonNullable<SnapshotInfo['ranges']>[number]; readonly piece?: number };

const WHOLE: readonly Piece[] = [{}];

/** The ranges of a snapshot; itself where it has none. */
export function piecesOf({ ranges = [] }: SnapshotInfo): readonly Piece[] {
  return ranges.length < 2 ? WHOLE : ranges.map((range, piece) => ({ range, piece }));
}
