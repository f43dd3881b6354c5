import { Command, Option } from 'commander';
import { type Config, hubOf, loadRules } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { REGENERATE_KEYS } from '../registry/rules.js';
import type { MigrateInput, Source } from '../workflows/messages.js';
import { readerIdOf, writerIdOf } from '../workflows/messages.js';
import { type FollowOptions, followOf, withFollowOptions } from './follow-options.js';
import { refuseExisting } from './new-keys.js';
import { deletesAtMost, type RunOptions, withApproveOption, withRunOptions } from './options.js';
import { checkPlan, findPlan } from './plans.js';
import { AT_ONCE, type Then } from './run.js';
import { configOf, storageWithinReach } from './session.js';

interface RuleOptions {
  readonly rules?: string;
  readonly orphans?: NonNullable<MigrateInput['orphans']>;
  readonly keys?: 'regenerate';
}

interface MigrateOptions extends RunOptions, RuleOptions, Partial<FollowOptions> {
  readonly existing: MigrateInput['existing'];
  readonly extra: NonNullable<MigrateInput['extra']>;
  readonly maxDelete?: number;
  readonly keysOut?: string;
  readonly managedBy?: boolean;
  readonly recheckSource?: boolean;
  readonly plan?: string;
  readonly approve?: boolean;
  readonly strict: boolean;
  readonly yes: boolean;
}

type VerifyOptions = RunOptions & RuleOptions & Pick<MigrateOptions, 'recheckSource'>;

export const SNAPSHOT = 'snapshot:';

export function migrateCommand(then: Then = AT_ONCE): Command {
  const command = withApproveOption(
    policyOptions(
      new Command('migrate')
        .summary('copy the registry of SOURCE to TARGET, and prove that it arrived')
        .description(
          'Copies the registry of SOURCE to TARGET by the hubs’ own export and import jobs, and proves that it ' +
            'arrived by exporting the target again and comparing field by field.\n\n' +
            'Run the same command again after any failure: it attaches to the run that goes on, or sends only ' +
            'what still differs.',
        )
        .argument('<source>', 'alias of a hub, or snapshot:ID')
        .argument('<target>', 'alias of a hub'),
    ),
  )
    .option('--plan <id>', 'carry out a plan that was made before: 8 or more digits of its hash')
    .option(
      '--managed-by',
      'carry who manages modules, too, by a few calls for each device that has some',
      false,
    )
    .addOption(recheckOption())
    .option('--yes', 'do not ask before deleting', false);
  return withFollowOptions(command)
    .option('--keys-out <file>', 'save new keys here (default: hubferry-keys-RUN.jsonl)')
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry migrate old new\n  hubferry migrate old new --existing skip --json\n' +
        '  hubferry migrate old new --existing overwrite --extra delete --yes\n' +
        '  hubferry migrate snapshot:hf-20260801-120000-ab12cd-0001-1 new\n' +
        '  hubferry migrate old new --keys regenerate --keys-out keys.jsonl\n' +
        '  hubferry migrate old new --plan 9f86d081884c7d65\n' +
        '  hubferry migrate old new --follow --disable-source',
    )
    .action((source: string, target: string, options: MigrateOptions) =>
      start(then, 'migrate', source, target, options),
    );
}

export function planCommand(): Command {
  return policyOptions(
    new Command('plan')
      .summary('show what migrate would do; writes nothing to a hub')
      .description('Does what migrate does up to the first write, by the same code, and prints the plan.')
      .argument('<source>', 'alias of a hub, or snapshot:ID')
      .argument('<target>', 'alias of a hub'),
  )
    .addHelpText('after', '\nExample:\n  hubferry plan old new')
    .action((source: string, target: string, options: MigrateOptions) =>
      start(AT_ONCE, 'plan', source, target, options),
    );
}

export function verifyCommand(then: Then = AT_ONCE): Command {
  return ruleOptions(
    new Command('verify')
      .summary('compare two registries field by field; read only')
      .description('Exports both hubs and compares every record, field by field. Writes nothing to a hub.')
      .argument('<source>', 'alias of a hub, or snapshot:ID')
      .argument('<target>', 'alias of a hub'),
  )
    .addOption(recheckOption())
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry verify old new --json\n  hubferry verify old new --recheck-source',
    )
    .action((source: string, target: string, options: VerifyOptions) =>
      start(then, 'verify', source, target, {
        ...options,
        existing: 'fail',
        extra: 'keep',
        strict: false,
        yes: true,
      }),
    );
}

function recheckOption(): Option {
  return new Option(
    '--recheck-source',
    'export the source hub once more at the end, and count what changed there since; changes no verdict',
  ).default(false);
}

/** The common options of a run, `--rules`, `--orphans` and `--keys`. */
function ruleOptions(command: Command): Command {
  return withRunOptions(command)
    .option('--rules <file>', 'leave out, edit or rename records on their way (docs/rules.md)')
    .addOption(
      new Option(
        '--orphans <policy>',
        'devices whose parent the rules leave out: move them without a parent, leave them out, too, ' +
          'or fail before any write (default: fail)',
      ).choices(['detach', 'exclude', 'fail']),
    )
    .addOption(
      new Option(
        '--keys <policy>',
        'regenerate: new symmetric keys for all records that are created; their devices have to be given ' +
          'them before they can connect',
      ).choices(['regenerate']),
    );
}

function policyOptions(command: Command): Command {
  return ruleOptions(command)
    .addOption(
      new Option(
        '--existing <policy>',
        'records on the target that differ: fail before any write, leave them, or make them equal',
      )
        .choices(['fail', 'skip', 'overwrite'])
        .default('fail'),
    )
    .addOption(
      new Option(
        '--extra <policy>',
        'records that only the target has: leave them, or delete them at the end',
      )
        .choices(['keep', 'delete'])
        .default('keep'),
    )
    .addOption(
      new Option(
        '--max-delete <records>',
        'deletes at most; more end the run before any write (default: a tenth of the target)',
      ).argParser(deletesAtMost),
    )
    .option('--strict', 'refuse to start when the target would not take some record', false);
}

async function start(
  then: Then,
  goal: MigrateInput['goal'],
  source: string,
  target: string,
  options: MigrateOptions,
): Promise<void> {
  const config = configOf(options);
  const from = sourceOf(config, source);
  const to = hubOf(config, target);
  if (from.kind === 'hub' && from.host === to.host) {
    throw new HubferryError('SAME_HUB', `${source} and ${target} are the same hub, ${to.host}.`);
  }
  if (goal === 'migrate' && to.readOnly) {
    throw new HubferryError('HUB_READ_ONLY', `${target} (${to.host}) is marked readOnly in ${config.path}.`);
  }
  const asked = { ...managedByOf(options, from), ...recheckOf(options, from) };
  const rules = rulesOf(options);
  refuseExisting(options.keysOut);
  if (goal === 'migrate' && options.extra === 'delete' && !options.yes && options.approve !== true) {
    await then.confirm(`Records that only ${target} has will be deleted.`, '--extra delete asks first');
  }
  storageWithinReach(config, from.kind === 'hub' ? [from.host, to.host] : [to.host]);
  const report = {
    workflow: goal,
    source: from.kind === 'hub' ? from.host : `${SNAPSHOT}${from.id}`,
    target: to.host,
  };
  const plan = options.plan === undefined ? null : checkPlan(options.plan);
  const planned = plan === null ? {} : { planned: await findPlan(config, plan, report) };
  const { existing, extra, maxDelete = null, strict } = options;
  const follow = goal === 'migrate' ? followOf(config, from, { ...options, ...rules }) : {};
  await then.conduct(config, options, {
    workflow: 'follow' in follow ? 'follow' : 'migrate',
    workflowId: (run) => (goal === 'migrate' ? writerIdOf(to.host) : readerIdOf(goal, run)),
    input: (base): MigrateInput => ({
      ...base,
      goal,
      source: from,
      target: { host: to.host },
      existing,
      extra,
      maxDelete,
      strict,
      ...rules,
      ...asked,
      ...planned,
      ...follow,
      ...(options.approve === true ? { approve: true } : {}),
    }),
    summary: `${goal} ${source} → ${target}`,
    keysOut: options.keysOut,
    report,
  });
}

/** No snapshot holds who manages a module: only the source itself can tell. */
function managedByOf({ managedBy }: MigrateOptions, source: Source): Pick<MigrateInput, 'managedBy'> {
  if (managedBy !== true) return {};
  if (source.kind === 'hub') return { managedBy };
  throw new HubferryError(
    'USAGE',
    '--managed-by asks the source hub; a snapshot does not hold who manages modules.',
  );
}

/** A snapshot does not change. */
function recheckOf({ recheckSource }: MigrateOptions, source: Source): Pick<MigrateInput, 'recheckSource'> {
  if (recheckSource !== true) return {};
  if (source.kind === 'hub') return { recheckSource };
  throw new HubferryError(
    'USAGE',
    '--recheck-source exports the source hub again; a snapshot cannot change.',
  );
}

/** Reads the rules before anything is asked of anybody: they travel in the run's input, for every worker to have. */
export function rulesOf({
  rules,
  orphans,
  keys,
}: Partial<Pick<MigrateOptions, 'rules' | 'orphans' | 'keys'>>): Pick<MigrateInput, 'rules' | 'orphans'> {
  const last = keys === 'regenerate' ? [REGENERATE_KEYS] : [];
  if (rules !== undefined) return { rules: [...loadRules(rules), ...last], orphans: orphans ?? 'fail' };
  if (orphans === undefined) return last.length === 0 ? {} : { rules: last };
  throw new HubferryError('USAGE', '--orphans says what becomes of devices whose parent --rules leave out.');
}

/** A hub, or a snapshot by its id. @throws HubferryError HUB_UNKNOWN, USAGE */
export function sourceOf(config: Config, source: string): Source {
  return source.startsWith(SNAPSHOT)
    ? { kind: 'snapshot', id: snapshotId(source) }
    : { kind: 'hub', host: hubOf(config, source).host };
}

function snapshotId(source: string): string {
  const id = source.slice(SNAPSHOT.length);
  // A container name by the storage service's rules; anything else never was a snapshot.
  if (/^hf-[a-z0-9-]{1,60}$/.test(id)) return id;
  throw new HubferryError(
    'USAGE',
    `"${source}" names no snapshot; an id looks like hf-20260801-120000-ab12cd-0001-1.`,
  );
}
