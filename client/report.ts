import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { differencesHead } from '../azure/shared-container.js';
import { openStorage } from '../azure/storage.js';
import { type Config, storageOf } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { readDifferences } from '../report/differences.js';
import { VERSION } from '../worker/version.js';
import type { RunReport } from '../workflows/messages.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { planSamples } from './plans.js';
import { print, printJson, say } from './print.js';
import { checkRun, isOpen, parseReport, readReport } from './runs.js';
import { configOf, openSession } from './session.js';
import { current } from './status.js';

interface ReportOptions extends CommonOptions {
  readonly out: string;
}

export function reportCommand(): Command {
  return withCommonOptions(
    new Command('report')
      .summary('save the report of one run, as JSON and as a page')
      .description(
        'Saves the report of one run as RUN.report.json, and as RUN.report.html: one page that needs no ' +
          'network. Of a run that goes on it shows how it stands. An older report of the same run is ' +
          'replaced, any other file of that name is not.',
      )
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .option('--out <folder>', 'where to save them; it is made if it is not there', '.')
    .addHelpText('after', '\nExample:\n  hubferry report 20260801-120000-ab12cd --out reports')
    .action(async (run: string, options: ReportOptions) => {
      checkRun(run);
      const config = configOf(options);
      const report = await asItStands(config, run);
      const files = await save(options.out, report, await pageOf(config, report));
      if (options.json) printJson({ ...report, files });
      else print(`${files.html}\n${files.json}`);
    });
}

/** The stored report, or how the run stands that has had no last word. */
async function asItStands(config: Config, run: string): Promise<RunReport> {
  // Who may write to the account may have put any name there, and files are named by it.
  const stored = { ...(await readReport(config, run)), run };
  if (!isOpen(stored)) return stored;
  const session = await openSession(config);
  try {
    const { report, note } = await current(session, stored);
    if (note) say(note);
    return { ...report, run };
  } finally {
    await session.close();
  }
}

/**
 * The page is made here, of the report, also where a worker has stored one: who may write to the account may have put
 * anything there, and only this one shows samples of the plan.
 */
async function pageOf(config: Config, report: RunReport): Promise<string> {
  // The library that draws charts is loaded by this verb only.
  const { reportPage } = await import('../report/page.js');
  const storage = openStorage(storageOf(config));
  const differences =
    report.differences === undefined ? [] : readDifferences(await differencesHead(storage, report.run));
  return reportPage(report, { version: VERSION, differences, samples: await planSamples(config, report) });
}

interface Files {
  readonly json: string;
  readonly html: string;
}

/** @throws HubferryError USAGE where a file of that name is something else; REPORT_NOT_SAVED */
async function save(folder: string, report: RunReport, page: string): Promise<Files> {
  const { markOf } = await import('../report/page.js');
  const { run } = report;
  const files = { json: join(folder, `${run}.report.json`), html: join(folder, `${run}.report.html`) };
  try {
    await mkdir(folder, { recursive: true });
    await refuseOthers(files.json, (text) => parseReport(text)?.run === run);
    await refuseOthers(files.html, (text) => text.includes(markOf(run)));
    await replace(files.json, `${JSON.stringify(report, null, 2)}\n`);
    await replace(files.html, page);
  } catch (error) {
    if (error instanceof HubferryError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new HubferryError('REPORT_NOT_SAVED', `The report cannot be saved in ${folder} (${code}).`);
  }
  return files;
}

/** A file that is no older report of the same run is never written over. */
async function refuseOthers(file: string, isOurs: (text: string) => boolean): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null || isOurs(text)) return;
  const hint = 'Move it away, or name another folder with --out.';
  throw new HubferryError('USAGE', `${file} exists already, and is no report of this run.`, hint);
}

/** Writes a file that only its owner can read, all at once: whoever looks meanwhile sees the old one or the new one. */
async function replace(file: string, text: string): Promise<void> {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
