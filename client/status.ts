import { Command } from 'commander';
import type { RunReport } from '../workflows/messages.js';
import { look, timed } from './follow.js';
import { refuseExisting, saveNewKeys } from './new-keys.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { planSamples } from './plans.js';
import { say } from './print.js';
import { describe } from './progress.js';
import { printReport } from './run.js';
import { checkRun, isOpen, lost, openHandle, readReport } from './runs.js';
import { configOf, openSession, type Session } from './session.js';

interface StatusOptions extends CommonOptions {
  readonly keysOut?: string;
}

export function statusCommand(): Command {
  return withCommonOptions(
    new Command('status')
      .summary('show one run')
      .description('Shows one run: how it stands while it goes on, and how it ended.')
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .option('--keys-out <file>', 'save the keys that the run made, and delete them from storage')
    .addHelpText('after', '\nExample:\n  hubferry status 20260801-120000-ab12cd')
    .action(async (run: string, options: StatusOptions) => {
      checkRun(run);
      const config = configOf(options);
      refuseExisting(options.keysOut);
      const stored = await readReport(config, run);
      if (options.keysOut !== undefined)
        say(`The new keys are in ${await saveNewKeys(config, run, options.keysOut)}`);
      if (!isOpen(stored)) {
        printReport(stored, options.json, await planSamples(config, stored));
        return;
      }
      const session = await openSession(config);
      try {
        const { report, note } = await current(session, stored);
        if (note) say(note);
        printReport(report, options.json, await planSamples(config, report));
      } finally {
        await session.close();
      }
    });
}

/** A run as far as it can be known from here, and in words how it goes on. */
interface Seen {
  readonly report: RunReport;
  readonly note?: string;
}

/** How a run stands that had no last word when its report was read. */
export async function current(session: Session, stored: RunReport): Promise<Seen> {
  const handle = await openHandle(session.client, stored);
  if (handle === null) return ended(session, await readReport(session.config, stored.run));
  const seen = await look(session, handle);
  if (typeof seen !== 'string') {
    const { report } = seen;
    return report.outcome === 'parked' ? { report } : { report, note: describe(seen) };
  }
  const who = seen === 'no worker' ? 'no worker answers' : 'the Temporal server does not answer';
  return { report: timed(stored), note: `${who}; this is how the run began` };
}

/**
 * A run that this Temporal server does not run, by its report read after that was seen: the last word may have come in
 * between. Without one it is lost only if it was this server's; whoever started it again while another server runs it
 * would make a second writer.
 */
export function ended({ server }: Pick<Session, 'server'>, now: RunReport): Seen {
  if (!isOpen(now)) return { report: now };
  if (now.server === server) return { report: lost(now) };
  const name = now.server ?? 'it does not say which';
  return { report: timed(now), note: `runs under another Temporal server (${name}); this is how it began` };
}
