import { Command } from 'commander';
import type { Config } from '../config/index.js';
import type { HubConfig } from '../config/model.js';
import { HubferryError } from '../registry/errors.js';
import { isWriter } from '../registry/workflow-ids.js';
import { type RollbackInput, type RunReport, writerIdOf } from '../workflows/messages.js';
import { confirm } from './confirm.js';
import { type RunOptions, withRunOptions } from './options.js';
import { conduct } from './run.js';
import { checkRun, isOpen, readReport } from './runs.js';
import { configOf, openSession, storageWithinReach } from './session.js';
import { current } from './status.js';

export function rollbackCommand(): Command {
  return withRunOptions(
    new Command('rollback')
      .summary('undo a run, where nobody else has written since')
      .description(
        'Makes the records that a run created, changed or deleted as they were before it, by its plan and the ' +
          'snapshot that was taken before its first write. A record that is not as the run left it any more ' +
          'is left alone and named.',
      )
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .option('--yes', 'do not ask before writing', false)
    .addHelpText('after', '\nExample:\n  hubferry rollback 20260801-120000-ab12cd')
    .action(async (run: string, options: RunOptions & { readonly yes: boolean }) => {
      checkRun(run);
      const config = configOf(options);
      const undone = await lastWord(config, run);
      const { host, before } = undoable(config, undone);
      storageWithinReach(config, [host]);
      if (!options.yes)
        await confirm(`What run ${run} did to ${host} will be undone.`, 'rollback asks first');
      await conduct(config, options, {
        workflow: 'rollback',
        workflowId: () => writerIdOf(host),
        input: (base): RollbackInput => ({
          ...base,
          undone: run,
          before,
          target: { host },
        }),
        summary: `rollback ${run}`,
        report: { workflow: 'rollback', source: `run:${run}`, target: host },
      });
    });
}

/** A run's report; of one that was terminated, or lost with its server, as it stood. */
async function lastWord(config: Config, run: string): Promise<RunReport> {
  const stored = await readReport(config, run);
  if (!isOpen(stored)) return stored;
  const session = await openSession(config);
  try {
    return (await current(session, stored)).report;
  } finally {
    await session.close();
  }
}

/** Where a run wrote, and what was there before. @throws HubferryError RUN_NOT_UNDOABLE */
function undoable(config: Config, report: RunReport): { readonly host: string; readonly before: string } {
  const { run, workflow, plan, target, snapshots } = report;
  const never = (why: string): HubferryError =>
    new HubferryError('RUN_NOT_UNDOABLE', `Run ${run} ${why}: it cannot be undone.`);
  if (!isWriter(workflow)) throw never(`of ${workflow} writes to no hub`);
  if (isOpen(report)) throw never('has not ended');
  if (plan === null || target === null || snapshots.target === null)
    throw never('ended before it had a plan');
  const hub: HubConfig | undefined = [...config.hubs.values()].find(({ host }) => host === target);
  if (hub === undefined)
    throw new HubferryError('HUB_UNKNOWN', `${config.path} has no hub ${target}, to which run ${run} wrote.`);
  if (hub.readOnly)
    throw new HubferryError('HUB_READ_ONLY', `${target} is marked readOnly in ${config.path}.`);
  return { host: target, before: snapshots.target };
}
