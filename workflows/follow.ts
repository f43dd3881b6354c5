import { sleep, workflowInfo } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import { cutBack, type Disabled, disable, withStatuses } from './cut-over.js';
import { fail } from './failure.js';
import { seeOthers } from './foretell.js';
import { preflight } from './gate.js';
import type { FollowInput, MigrateInput, Outcome, PassSummary, RunReport } from './messages.js';
import { copy } from './migrate.js';
import { Run } from './run.js';
import { bothSides } from './sides.js';
import { takeSnapshot } from './snapshot.js';
import type { Answer } from './steering.js';
import type { Room } from './work.js';

/** Passes that a report tells one by one. */
const TOLD = 100;

/** At the gate passes become rarer, up to this, ms: somebody may take days. */
const RAREST = 6 * 3_600_000;

/** A run that has grown so long ends before the server ends it (its limit is 51,200 events). */
const MOST_EVENTS = 40_000;

/**
 * Follows a hub that is still used: the same loop again and again, each time from fresh snapshots, so that only what
 * changed is sent. When little is left somebody lets the target take over: the source is disabled where that is asked for,
 * a last pass is made, and the run waits whether it is to stay so.
 */
export async function follow(input: FollowInput): Promise<RunReport> {
  const { source, target, follow: how } = input;
  const run = new Run(input, { workflow: 'migrate', source: source.host, target: target.host });
  return run.conduct(async () => {
    run.phase('preflight');
    const passes = new Passes(run, input, await preflight(run, input, source.host));
    await seeOthers(run, input);

    await passes.next();
    await passes.next();
    for (let wait = how.every; ; ) {
      run.phase('follow');
      if (passes.changes > how.below) await sleep(how.every, { summary: 'until the next pass' });
      else if ((await offer(run, how, wait)) === 'approved') break;
      else wait = Math.min(2 * wait, RAREST);
      await passes.next();
    }
    if (!how.disableSource) return passes.next();

    run.phase('disable');
    const disabled = await disable(run, input);
    let why: string | null = 'the run ended before its cut-over was approved';
    try {
      const outcome = await run.steering.hurried(how.cutBackAfter, () => passes.next(disabled));
      // Each pass begins its warnings anew.
      if (!disabled.whole) run.warn('SOURCE_STILL_ENABLED', 1, [`see run ${disabled.run}`]);
      run.phase('cut-over');
      const answer = await run.steering.gate(run.report.plan ?? '', {
        reason: 'cut-over',
        why: `waits for approval, or for \`cut-back\`: the devices of ${source.host} are disabled`,
        within: how.cutBackAfter,
      });
      why =
        answer === 'approved'
          ? null
          : answer === 'nothing'
            ? 'nobody approved it in time'
            : 'as was asked for';
      return why === null ? outcome : 'cancelled';
    } finally {
      if (why !== null) await cutBack(run, input, disabled, why);
    }
  });
}

async function offer(run: Run, { disableSource }: FollowInput['follow'], within: number): Promise<Answer> {
  const next = disableSource ? 'the source is disabled, and a last pass made' : 'a last pass is made';
  return run.steering.gate(run.report.plan ?? '', {
    reason: 'ready',
    why: `is ready for the cut-over: once approved, ${next}`,
    within,
  });
}

/** The passes of a run, one after the other. */
class Passes {
  /** What the newest one has sent. */
  changes = 0;
  readonly #run: Run;
  readonly #input: FollowInput;
  readonly #room: Room;
  /** The target's snapshot from before the first write. */
  #first: string | null = null;
  #last: readonly string[] = [];
  #count = 0;

  constructor(run: Run, input: FollowInput, room: Room) {
    this.#run = run;
    this.#input = input;
    this.#room = room;
  }

  /** Makes the target as the source is now. @param disabled what the run has done to the source before. */
  async next(disabled: Disabled | null = null): Promise<Outcome> {
    const run = this.#run;
    const { source } = this.#input;
    if (workflowInfo().historyLength > MOST_EVENTS)
      fail(
        'FOLLOWED_TOO_LONG',
        `Run ${this.#input.run} has followed ${source.host} for ${this.#count} passes.`,
      );
    const started = new Date();
    const work = run.work;
    if (this.#first !== null) run.afresh();
    run.phase('snapshot');
    const again = this.#first !== null;
    const input = this.#policy(again);
    const { devices } = this.#room;
    // What an earlier pass made of the target is what it holds. Statuses are put back before anything is made of them.
    const expected = (taken: SnapshotInfo): number | undefined =>
      disabled !== null || devices === undefined ? undefined : Math.max(devices, again ? taken.devices : 0);
    const sides = await bothSides(run, input, () => takeSnapshot(run, input, source.host), expected);
    const { from: taken, before } = sides;
    const from = disabled === null ? taken : await withStatuses(run, this.#input, disabled, taken);
    this.#keep(from.id, this.#first ?? before.id);
    const outcome = await copy(run, input, { ...sides, from }, this.#room, again);
    // A plan that was made again has another one.
    this.#first ??= run.report.snapshots.target;
    this.#keep(from.id, this.#first ?? before.id);
    run.endPhase();
    await this.#forget(again ? [work, ...this.#last] : []);
    this.#last = [taken, from, ...(again ? [before] : [])].map(({ id }) => id);
    this.#note({ started: started.toISOString(), seconds: (Date.now() - started.getTime()) / 1000, outcome });
    return outcome;
  }

  #keep(source: string, target: string): void {
    this.#run.keep([source, target]);
    this.#run.report.snapshots = { source, target };
  }

  /** From the second pass on, the target holds what the run made of it, which is to follow the source. */
  #policy(again: boolean): MigrateInput {
    const { follow: _, ...input } = this.#input;
    if (!again) return input;
    const maxDelete = input.extra === 'delete' ? (input.maxDelete ?? null) : 'own';
    return { ...input, existing: 'overwrite', maxDelete, approve: false };
  }

  /** What no later pass needs takes room, and holds keys. */
  async #forget(containers: readonly string[]): Promise<void> {
    const { account } = this.#input;
    for (const container of new Set(containers))
      await this.#run.activities.light.deleteContainer({ account, container });
  }

  #note(pass: Pick<PassSummary, 'started' | 'seconds' | 'outcome'>): void {
    const { report } = this.#run;
    const { create, update, delete: remove } = report.ledger;
    const { configurations, systemModules } = report.ledger;
    const beside = [configurations, systemModules].map((part) => (part?.create ?? 0) + (part?.update ?? 0));
    this.changes = create + update + remove + beside.reduce((sum, n) => sum + n, 0);
    this.#count += 1;
    const told = [...(report.follow?.passes ?? []), { ...pass, create, update, delete: remove }];
    report.follow = { ...report.follow, passes: told.slice(-TOLD), count: this.#count };
  }
}
