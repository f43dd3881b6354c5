import { Command, Option } from 'commander';
import { type Config, hubOf } from '../config/index.js';
import { faultIn } from '../config/rules.js';
import { HubferryError } from '../registry/errors.js';
import type { Rule } from '../registry/rules.js';
import { type DrillInput, writerIdOf } from '../workflows/messages.js';
import { rulesOf, SNAPSHOT, sourceOf } from './migrate.js';
import { milliseconds, type RunOptions, withRunOptions } from './options.js';
import { AT_ONCE, type Start, type Then } from './run.js';
import { configOf, storageWithinReach } from './session.js';

interface DrillOptions extends RunOptions {
  readonly latest: boolean;
  readonly canary?: string;
  readonly rules?: string;
  readonly orphans?: 'detach' | 'exclude' | 'fail';
  /** Seconds. */
  readonly rto?: number;
  readonly rpo?: number;
}

export function drillCommand(then: Then = AT_ONCE): Command {
  return withRunOptions(
    new Command('drill')
      .summary('prove that a snapshot can be restored, on a scratch hub')
      .description(
        'Restores a fresh snapshot of SOURCE, or a stored one, to a scratch hub, compares it field by field, ' +
          'measures how long that took, and empties the scratch hub again, whatever happens. The scratch hub ' +
          'has to be declared `role: scratch`, and must hold nothing but what a former drill left.',
      )
      .argument('<source>', 'alias of a hub, or snapshot:ID')
      .argument('<scratch>', 'alias of a hub that is declared `role: scratch`'),
  )
    .option('--latest', 'restore the newest stored snapshot of SOURCE, not a fresh one', false)
    .option('--canary <expression>', 'restore only records for which this CEL expression is true')
    .option('--rules <file>', 'leave out or edit records on their way (docs/rules.md)')
    .addOption(
      new Option(
        '--orphans <policy>',
        'devices whose parent is left out: restore them without a parent (default with --canary), leave ' +
          'them out, too, or fail (default otherwise)',
      ).choices(['detach', 'exclude', 'fail']),
    )
    .option('--rto <duration>', 'the restore is to be proven within e.g. 30m', seconds)
    .option('--rpo <duration>', 'the snapshot is to be no older than e.g. 24h', seconds)
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry drill old scratch --rto 30m\n' +
        '  hubferry drill old scratch --latest --rto 30m --rpo 24h\n' +
        "  hubferry drill old scratch --canary 'tags.?ring.orValue(0) == 1'",
    )
    .action(async (source: string, scratch: string, options: DrillOptions) => {
      const config = configOf(options);
      await then.conduct(config, options, drillStart(config, source, scratch, options));
    });
}

/** What `drill` starts. @throws HubferryError USAGE, HUB_UNKNOWN, HUB_NOT_SCRATCH, … as far as the configuration tells */
function drillStart(
  config: Config,
  source: string,
  scratch: string,
  options: DrillOptions,
): Start<DrillInput> {
  const from = sourceOf(config, source);
  const { host, role, readOnly } = hubOf(config, scratch);
  if (from.kind === 'hub' && from.host === host)
    throw new HubferryError('SAME_HUB', `${source} and ${scratch} are the same hub, ${host}.`);
  if (role !== 'scratch')
    throw new HubferryError('HUB_NOT_SCRATCH', `${scratch} (${host}) is not declared \`role: scratch\`.`);
  if (from.kind === 'hub' && hubOf(config, source).role === 'scratch')
    throw new HubferryError(
      'HUB_NOT_SCRATCH',
      `${source} (${from.host}) is declared \`role: scratch\`: drills fill and empty it, so it is no source.`,
      'Name another source, or a stored snapshot.',
    );
  if (readOnly)
    throw new HubferryError('HUB_READ_ONLY', `${scratch} (${host}) is marked readOnly in ${config.path}.`);
  if (options.latest && from.kind === 'snapshot')
    throw new HubferryError('USAGE', '--latest takes the newest snapshot of a hub; a snapshot was named.');
  const rules = chosen(options);
  storageWithinReach(config, from.kind === 'hub' ? [from.host, host] : [host]);
  const { rto = null, rpo = null } = options;
  return {
    workflow: 'drill',
    workflowId: () => writerIdOf(host),
    input: (base) => ({
      ...base,
      source: options.latest && from.kind === 'hub' ? { kind: 'latest', host: from.host } : from,
      target: { host },
      objectives: { rto, rpo },
      ...rules,
    }),
    summary: `drill ${source} → ${scratch}`,
    report: {
      workflow: 'drill',
      source: from.kind === 'hub' ? from.host : `${SNAPSHOT}${from.id}`,
      target: host,
    },
  };
}

/** The rules of the file, and last that of --canary. */
function chosen({ canary, rules, orphans }: DrillOptions): Pick<DrillInput, 'rules' | 'orphans'> {
  const given = { ...(rules === undefined ? {} : { rules }), ...(orphans === undefined ? {} : { orphans }) };
  if (canary === undefined) return rulesOf(given);
  const fault = faultIn(canary);
  if (fault !== null) throw new HubferryError('RULE_INVALID', `--canary: ${fault}`);
  const last: Rule[] = [
    { name: '--canary: not chosen', when: `kind != "module" && !(${canary})`, then: { exclude: true } },
  ];
  const first = rules === undefined ? [] : (rulesOf({ rules }).rules ?? []);
  return { rules: [...first, ...last], orphans: orphans ?? 'detach' };
}

const seconds = (value: string): number => milliseconds(value) / 1000;
