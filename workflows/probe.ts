import { CancellationScope, sleep } from '@temporalio/workflow';
import { type ProbeError, type ProbeLook, probeAnswers } from '../registry/probe.js';
import { fail, failureOf } from './failure.js';
import type { JobRequest, RunInput, RunReport } from './messages.js';
import { Run } from './run.js';

export interface ProbeRunInput extends RunInput {
  /** A hub that is declared a scratch hub. */
  readonly target: { readonly host: string };
}

/** Of a hub that sees a missing blob at once. */
const AT_ONCE = new Set(['HUB_REFUSED', 'CONTAINER_REFUSED']);

/**
 * Answers by a few throw-away records of its own what nobody could tell of the service (docs/azure.md): two imports, an
 * export without keys, and an import without its blob. The records are removed whatever happens.
 */
export async function probe(input: ProbeRunInput): Promise<RunReport> {
  const { account, run: name, settings, target } = input;
  const { host } = target;
  const run = new Run(input, { workflow: 'probe', source: 'probe', target: host });
  const { ask, light, transfer } = run.activities;
  const own = { account, host, run: name };
  /** Whether records were sent that nobody has looked for since: they may become visible only in a while. */
  let unseen = false;
  return run.conduct(async () => {
    await ask.mayProbe({ host });
    for (const { calls } of await ask.preflight({ account, source: null, target: host }))
      run.calls(host, calls);
    run.phase('apply');
    try {
      const [errors, first] = await sent(1, null);
      const [more, second] = await sent(2, first.edgeScope);
      run.phase('snapshot');
      const exported = await exportWithoutKeys();
      const noBlob = await importOfNothing();
      run.report.probe = probeAnswers(name, {
        errors: [errors, more],
        looks: [first, second],
        exported,
        noBlob,
      });
      return 'done';
    } finally {
      await CancellationScope.nonCancellable(async () => {
        if (unseen) await sleep(settings.settle);
        run.counted(host, await light.removeProbe(own));
      });
    }
  });

  /** Sends one of the two imports. @returns what its log says, and what the hub shows then */
  async function sent(step: 1 | 2, edgeScope: string | null): Promise<[ProbeError[], ProbeLook]> {
    const container = run.containers()(1);
    const { lines } = await transfer.stageProbe({ ...own, container, step, edgeScope });
    unseen = true;
    await job({ type: 'import', container, lines });
    const errors = await transfer.readProbeErrors({ ...own, container });
    await sleep(settings.settle);
    const look = run.counted(host, await light.lookAtProbe(own));
    unseen = false;
    return [errors, look];
  }

  async function exportWithoutKeys() {
    const container = run.containers()(1);
    await light.createContainer({ account, container });
    await job({ type: 'export', container, lines: null, excludeKeys: true });
    return await transfer.readProbeExport({ ...own, container });
  }

  async function importOfNothing(): Promise<string> {
    const container = run.containers()(1);
    await light.createContainer({ account, container });
    try {
      const request = { host, account, settings, type: 'import', container, lines: 0 } as const;
      const { outcome, reason } = await run.job(request);
      return `a job that is ${outcome}${reason === null ? '' : `: ${reason}`}`;
    } catch (error) {
      const { code } = failureOf(error);
      if (AT_ONCE.has(code)) return 'refused at once';
      throw error;
    }
  }

  /** Runs one job to a good end. @throws JOB_FAILED */
  async function job(request: Omit<JobRequest, 'host' | 'account' | 'settings'>): Promise<void> {
    const { outcome, reason } = await run.job({ host, account, settings, ...request });
    if (outcome !== 'completed')
      fail(
        'JOB_FAILED',
        `The probe’s ${request.type} job on ${host} ended ${outcome}: ${reason ?? 'no reason given'}.`,
      );
  }
}
