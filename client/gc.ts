import type { WorkflowHandle } from '@temporalio/client';
import { Command } from 'commander';
import type { Found, Removed } from '../activities/gc.js';
import { HubferryError } from '../registry/errors.js';
import type { Leftover } from '../registry/leftovers.js';
import type { GcInput } from '../workflows/gc.js';
import { TASK_QUEUE } from '../workflows/messages.js';
import { answer } from './answer.js';
import { confirm } from './confirm.js';
import { fail } from './fail.js';
import { onInterrupt } from './interrupt.js';
import { type CommonOptions, collect, milliseconds, withCommonOptions } from './options.js';
import { printJson } from './print.js';
import { checkRun, newRunId } from './runs.js';
import { configOf, openSession, type Session } from './session.js';
import { count, fold, plain, widthOf } from './text.js';

interface GcOptions extends CommonOptions {
  readonly run: readonly string[];
  /** ms */
  readonly olderThan?: number;
  readonly yes: boolean;
}

/** Somebody may be about to start a run for which a list of edits was brought; nobody is for a week. ms */
const OLDER_THAN = 7 * 86_400_000;

/** A look takes seconds; removing containers with many blobs takes its time. ms */
const TIME = 3_600_000;

/** Things of one run that are named on a screen; `--json` names all. */
const NAMED = 10;

export function gcCommand(): Command {
  return withCommonOptions(
    new Command('gc')
      .summary('show what lost runs left behind in storage, and remove it')
      .description(
        'Shows what runs that were terminated or lost left in the storage account: containers, access of hubs ' +
          'to containers, and holds on targets. Then it asks whether to remove that. What a run that goes on may ' +
          'need stays, and so do snapshots that a report names. Nothing on a hub is touched.',
      ),
  )
    .option(
      '--run <run>',
      'this run of another Temporal server is lost, whatever its report says (repeatable)',
      collect,
      [],
    )
    .option(
      '--older-than <duration>',
      'age from which a run without a report never began (default: 7d)',
      milliseconds,
    )
    .option('--yes', 'remove it without asking', false)
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry gc\n  hubferry gc --yes\n  hubferry gc --run 20260801-120000-ab12cd --yes',
    )
    .action(async (options: GcOptions) => {
      for (const run of options.run) checkRun(run);
      const session = await openSession(configOf(options));
      try {
        await collectGarbage(session, options);
      } finally {
        await session.close();
      }
    });
}

async function collectGarbage(session: Session, options: GcOptions): Promise<void> {
  const { json, yes } = options;
  const found = await answer<Found>(await start(session, options, null));
  const { remove } = found;
  if (!json) process.stdout.write(`${foundText(found, Math.min(80, widthOf(process.stdout)))}\n`);
  const isAsked = process.stdin.isTTY && process.stderr.isTTY && !json;
  const removes = remove.length > 0 && (yes || isAsked);
  if (removes && !yes) await confirm('All that is left behind will be removed.', 'gc asks first');
  const stayed = removes ? await removed(session, options, remove) : [];
  if (json) printJson({ outcome: 'done', removed: removes, ...found, stayed, error: null });
  else if (removes)
    process.stdout.write(`${removedText(remove.length, stayed, Math.min(80, widthOf(process.stdout)))}\n`);
  else if (remove.length > 0) process.stdout.write('Nothing was removed; --yes removes it.\n');
}

/** @returns what is still there */
async function removed(
  session: Session,
  options: GcOptions,
  remove: readonly Leftover[],
): Promise<readonly Leftover[]> {
  const shown = remove.map(({ kind, name }) => ({ kind, name }));
  const words = 'Interrupted; what was begun is removed all the same.';
  onInterrupt(() => fail(new HubferryError('INTERRUPTED', words, 'The same command shows what is left.')));
  const { stayed } = await answer<Removed>(await start(session, options, shown));
  return stayed;
}

async function start(
  { client, account, settings, server, config }: Session,
  { run, olderThan = OLDER_THAN }: GcOptions,
  remove: GcInput['remove'],
): Promise<WorkflowHandle> {
  const hosts = [...new Set([...config.hubs.values()].map(({ host }) => host))];
  const input: GcInput = { account, settings, server, hosts, named: run, olderThan, remove };
  return await client.workflow.start('gc', {
    workflowId: `gc/${newRunId()}`,
    taskQueue: TASK_QUEUE,
    args: [input],
    staticSummary: remove === null ? 'gc looks' : 'gc removes',
    workflowExecutionTimeout: TIME,
  });
}

/** What a look has found, by run, for a person. */
export function foundText({ remove, keep, more }: Found, width: number): string {
  const lines: string[] = [];
  if (remove.length === 0) lines.push('Nothing is left behind.');
  else lines.push('Left behind, and needed by nobody:', ...groups(remove, width));
  if (keep.length > 0) lines.push('', 'Stays, since it may be needed:', ...groups(keep, width));
  if (more > 0) lines.push('', `And ${count(more)} more, which the next look shows.`);
  return lines.join('\n');
}

/** What became of it. */
export function removedText(shown: number, stayed: readonly Leftover[], width: number): string {
  const lines = [`Removed: ${count(shown - stayed.length)} of ${count(shown)}.`];
  if (stayed.length > 0) lines.push('Stays after all:', ...groups(stayed, width));
  return lines.join('\n');
}

const KINDS: Readonly<Record<Leftover['kind'], string>> = {
  container: 'container',
  access: 'access to',
  owner: 'hold on',
};

/** Things of one run that are there for the same reason stand together. */
function groups(things: readonly Leftover[], width: number): string[] {
  const byHead = new Map<string, Leftover[]>();
  for (const thing of things) {
    const head = `${thing.run === null ? '' : `run ${thing.run}: `}${thing.why}`;
    byHead.set(head, [...(byHead.get(head) ?? []), thing]);
  }
  return [...byHead].flatMap(([head, all]) => {
    const more = all.length - NAMED;
    return [
      ...fold(`  ${plain(head)}`, width),
      ...all.slice(0, NAMED).map(({ kind, name }) => `    ${KINDS[kind].padEnd(9)}  ${plain(name)}`),
      ...(more > 0 ? [`    and ${count(more)} more`] : []),
    ];
  });
}
