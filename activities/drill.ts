import { planBlob, runBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import { HubferryError } from '../registry/errors.js';
import { isSystemModule, recordKey } from '../registry/record.js';
import { SAMPLES } from '../registry/totals.js';
import type { KeptChange, KeptConfiguration } from '../registry/undo.js';
import type { RunReport } from '../workflows/messages.js';
import { manifestIn, type SnapshotInfo, snapshotLines } from './backup-export.js';
import { configurationsOf, nameOf } from './configurations.js';
import type { Deps } from './deps.js';
import { reportsIn } from './reports.js';
import type { Sampled } from './sampler.js';
import { ownLines } from './work.js';

/** A drill that may have left something on its scratch hub. */
export interface FormerDrill {
  readonly run: string;
  /** The scratch hub's snapshot from before it. */
  readonly before: SnapshotInfo;
}

/** Verbs that may have a scratch hub as their target: they mend something there, or only look. */
const HARMLESS: readonly RunReport['workflow'][] = [
  'drill',
  'edit',
  'rollback',
  'probe',
  'check',
  'plan',
  'verify',
];

const OPEN: readonly RunReport['outcome'][] = ['running', 'parked'];

/** How many records of a scratch hub that is not empty are looked at, to name some. */
const LOOKED_AT = 1_000;

export function drillActivities({ connections }: Deps) {
  return {
    /**
     * Makes sure that a hub may be filled and emptied: it is declared so in this worker's configuration, and no run has it
     * as its source, or migrates to it. A snapshot that somebody took of it by hand is no such run.
     *
     * @returns the newest drill to it that wrote there, unless that one has cleaned up
     * @throws HubferryError HUB_NOT_SCRATCH, SCRATCH_IN_USE
     */
    async guardScratch(input: {
      account: string;
      host: string;
      run: string;
      server: string | null;
    }): Promise<{ former: FormerDrill | null }> {
      const { host } = input;
      if (connections.hubConfig(host).role !== 'scratch')
        throw new HubferryError(
          'HUB_NOT_SCRATCH',
          `${host} is not declared \`role: scratch\` where the worker runs.`,
        );
      const storage = connections.storage(input.account);
      const reports = await reportsIn(storage);
      const others = reports.filter(({ run }) => run !== input.run);
      const user = others.find((report) => uses(report, host));
      if (user !== undefined)
        throw new HubferryError(
          'SCRATCH_IN_USE',
          `${host} is the ${user.source === host ? 'source' : 'target'} of run ${user.run} (${user.workflow}).`,
        );
      // Whoever cleaned up, or filled the hub, found it empty: older drills have left nothing.
      const last = others.find(
        ({ workflow, target, cleaned, plan, snapshots }) =>
          workflow === 'drill' && target === host && (cleaned === true || (plan && snapshots.target)),
      );
      const before = last?.snapshots.target ?? null;
      if (last === undefined || last.cleaned === true || before === null) return { former: null };
      // Under another Temporal server it may go on.
      if (OPEN.includes(last.outcome) && (last.server ?? null) !== input.server) return { former: null };
      const info = await manifestOf(storage, before);
      return { former: info && { run: last.run, before: info } };
    },

    /** Writes down that nothing of a former drill is left on its scratch hub, and deletes its containers but the snapshot. */
    async settleDrill(input: { account: string; run: string }): Promise<void> {
      const storage = connections.storage(input.account);
      const report = (await reportsIn(storage)).find(({ run }) => run === input.run);
      if (report === undefined) return;
      const { snapshots } = report;
      for await (const container of storage.listContainers(`hf-${input.run}-`))
        if (container !== snapshots.source) await storage.deleteContainer(container);
      const settled = { ...report, cleaned: true, snapshots: { ...snapshots, target: null } };
      await storage.writeText(SHARED_CONTAINER, runBlob(input.run), JSON.stringify(settled, null, 2));
    },

    /**
     * Counts and names what a scratch hub's snapshot holds, but for what the service makes by itself.
     *
     * @param drill the one that may have made some of it: what it did not make is named first.
     */
    async contentsOf(input: {
      account: string;
      id: string;
      maxLineBytes: number;
      drill: string | null;
    }): Promise<Sampled> {
      const storage = connections.storage(input.account);
      const others = new Set<string>();
      let count = 0;
      const add = (name: string): void => {
        count += 1;
        if (count <= LOOKED_AT) others.add(name);
      };
      for await (const batch of snapshotLines(storage, input.id, input.maxLineBytes))
        for (const { record } of batch)
          if (record !== null && !isSystemModule(record)) add(recordKey(record.deviceId, record.moduleId));
      for (const { id } of await configurationsOf(storage, input.id)) add(nameOf(id));
      const own: string[] = [];
      const plan = input.drill === null ? [] : ownLines(storage, SHARED_CONTAINER, planBlob(input.drill));
      for await (const batch of plan) {
        for (const line of batch) {
          const { key, configuration } = JSON.parse(line) as Partial<KeptChange & KeptConfiguration>;
          const name = configuration === undefined ? (key ?? '') : nameOf(configuration);
          if (others.delete(name)) own.push(name);
        }
      }
      return { count, samples: [...others, ...own].slice(0, SAMPLES) };
    },

    /** The newest stored snapshot of a hub, with keys. @throws HubferryError SNAPSHOT_NOT_FOUND */
    async latestSnapshot(input: { account: string; host: string }): Promise<SnapshotInfo> {
      const storage = connections.storage(input.account);
      const ids = (await reportsIn(storage)).flatMap(({ source, snapshots, outcome }) =>
        source === input.host && snapshots.source !== null && outcome !== 'failed' ? [snapshots.source] : [],
      );
      // They are named by the run that took them, which begins with its time; another run may have used one since.
      for (const id of [...new Set(ids)].toSorted().toReversed()) {
        const info = await manifestOf(storage, id);
        if (info?.host === input.host && info.keys) return info;
      }
      throw new HubferryError(
        'SNAPSHOT_NOT_FOUND',
        `There is no stored snapshot of ${input.host} with keys in ${storage.account}.`,
      );
    },
  };
}

/** A snapshot's manifest; null for a run that goes on and has none yet, and for one that was removed since. */
async function manifestOf(storage: Storage, id: string): Promise<SnapshotInfo | null> {
  return manifestIn(storage, id).catch((error: unknown) => {
    if (error instanceof HubferryError && error.code.startsWith('SNAPSHOT_')) return null;
    throw error;
  });
}

/** Whether a run makes a hub more than a place for drills. */
function uses({ workflow, source, target, schedule }: RunReport, host: string): boolean {
  if (source === host) return workflow !== 'snapshot' || schedule !== undefined;
  return target === host && !HARMLESS.includes(workflow);
}
