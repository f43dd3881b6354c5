import { createHash } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import { openStorage } from '../azure/storage.js';
import {
  type Config,
  cellValue,
  type EditSource,
  faultIn,
  hubOf,
  loadRules,
  placed,
  readEdits,
  storageOf,
  twinPathText,
} from '../config/index.js';
import type { Edit } from '../registry/edit.js';
import { HubferryError } from '../registry/errors.js';
import { IMPORT_MODES, type ImportMode } from '../registry/modes.js';
import type { JsonObject } from '../registry/record.js';
import type { Actions, KeyPolicy, Rule } from '../registry/rules.js';
import { EDITS_BLOB, type EditsInput, editsContainer, writerIdOf } from '../workflows/messages.js';
import { confirm } from './confirm.js';
import { refuseExisting } from './new-keys.js';
import { collect, deletesAtMost, type RunOptions, withApproveOption, withRunOptions } from './options.js';
import { conduct, type Luggage } from './run.js';
import { configOf, storageWithinReach, storageWithKeys } from './session.js';
import { count } from './text.js';

/** What is done with records that --ids and --where name. */
interface ActionOptions {
  readonly delete?: boolean;
  readonly enable?: boolean;
  readonly disable?: boolean;
  readonly reason?: string;
  readonly keys?: KeyPolicy;
  readonly setTag: readonly Assignment[];
  readonly setDesired: readonly Assignment[];
  readonly remove: readonly string[];
}

interface EditOptions extends RunOptions, ActionOptions {
  readonly file?: string;
  readonly ids?: string;
  readonly importFile?: string;
  readonly where?: string;
  readonly rules?: string;
  readonly importMode?: ImportMode;
  readonly maxDelete?: number;
  readonly keysOut?: string;
  readonly approve?: boolean;
  readonly strict: boolean;
  readonly yes: boolean;
}

/** More edits than these are asked about. */
const MANY = 1000;

export function editCommand(): Command {
  return withApproveOption(
    withRunOptions(
      new Command('edit')
        .summary('change many records of one hub: make, delete, enable, disable, renew keys')
        .description(
          'Changes records of HUB by import jobs, and proves it. A snapshot is taken first: `rollback` undoes ' +
            'the run. Records are named by a file, a list of ids or an expression, in any combination; ' +
            'docs/edit.md shows the forms.',
        )
        .argument('<hub>', 'alias of a hub'),
    ),
  )
    .option('--file <file>', 'edits: rows of a .csv file, or else lines of JSON')
    .option('--ids <file>', 'ids, one a line (DEVICE or DEVICE/MODULE), for the actions below')
    .option('--where <expression>', 'all records for which this CEL expression is true, for the actions')
    .option('--rules <file>', 'rules with actions of their own (docs/rules.md)')
    .option('--import-file <file>', 'lines as the service’s own import takes them')
    .optionsGroup('Actions for --ids and --where:')
    .option('--delete', 'delete them; a device takes its modules along')
    .option('--enable', 'enable devices')
    .option('--disable', 'disable devices')
    .option('--reason <text>', 'why, as their status reason')
    .addOption(
      new Option('--keys <policy>', 'new symmetric keys, or exchange the two').choices([
        'regenerate',
        'regenerate-primary',
        'regenerate-secondary',
        'swap',
      ]),
    )
    .option('--set-tag <path=value>', 'set a tag; the value is JSON, or else text (repeatable)', assign, [])
    .option('--set-desired <path=value>', 'set a desired property (repeatable)', assign, [])
    .option('--remove <path>', 'remove tags.PATH or desired.PATH (repeatable)', collect, [])
    .optionsGroup('Options:')
    .addOption(
      new Option(
        '--import-mode <mode>',
        'send lists by this mode of the service (default: create; else guarded by ETags)',
      ).choices(IMPORT_MODES),
    )
    .option(
      '--max-delete <records>',
      'deletes at most; more end the run before any write (default: a tenth of the hub)',
      deletesAtMost,
    )
    .option('--strict', 'refuse to start when some edit cannot be carried out', false)
    .option('--yes', 'do not ask before deletes, many edits, or edits by an expression', false)
    .option('--keys-out <file>', 'save new keys here (default: hubferry-keys-RUN.jsonl)')
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry edit new --file devices.csv\n' +
        '  hubferry edit new --ids lost.txt --disable --reason "stolen in May"\n' +
        `  hubferry edit new --where 'tags.?site.orValue("") == "x"' --set-tag site=y\n` +
        '  hubferry edit new --ids old.txt --delete --max-delete 500',
    )
    .action(edit);
}

async function edit(alias: string, options: EditOptions): Promise<void> {
  const config = configOf(options);
  const { host, readOnly } = hubOf(config, alias);
  if (readOnly)
    throw new HubferryError('HUB_READ_ONLY', `${alias} (${host}) is marked readOnly in ${config.path}.`);
  const then = actionsOf(options);
  const sources = sourcesOf(options, then);
  const rules = rulesOf(options, then);
  if (sources.length + rules.length === 0)
    throw new HubferryError('USAGE', 'Say what to edit: --file, --ids, --import-file, --where or --rules.');
  refuseExisting(options.keysOut);
  const list = await checkedList(sources);
  storageWithinReach(config, [host]);
  const rulesSay = rules.length > 0 ? 'Records that rules match' : '';
  const asks = list.deletes > 0 || list.edits > MANY || rules.length > 0;
  if (asks && !options.yes && options.approve !== true) {
    const deletes = list.deletes > 0 ? `, ${count(list.deletes)} of them deleted` : '';
    const named = list.edits > 0 ? `${count(list.edits)} records${deletes}` : '';
    const what = [named, rulesSay].filter((words) => words !== '').join('; ');
    await confirm(`To be edited on ${alias}: ${what}.`, 'edit asks before deletes, many edits and rules');
  }
  const { maxDelete = null, strict } = options;
  await conduct(config, options, {
    workflow: 'edit',
    workflowId: () => writerIdOf(host),
    input: (base): EditsInput => ({
      ...base,
      target: { host },
      ...(list.edits > 0 ? { list: { sha256: list.sha256, edits: list.edits } } : {}),
      rules,
      maxDelete,
      strict,
      ...(options.approve === true ? { approve: true } : {}),
    }),
    summary: `edit ${alias}`,
    keysOut: options.keysOut,
    luggage: list.edits > 0 ? luggageOf(config, sources, list) : undefined,
    report: { workflow: 'edit', source: 'edits', target: host },
  });
}

/** What action options say; null for nothing. @throws HubferryError USAGE */
function actionsOf(options: ActionOptions): Actions | null {
  const { delete: remove, enable, disable, reason, keys, setTag, setDesired } = options;
  if (enable === true && disable === true)
    throw new HubferryError('USAGE', '--enable and --disable exclude each other.');
  const status = enable === true ? 'enabled' : disable === true ? 'disabled' : undefined;
  const then: Actions = {
    ...(status === undefined ? {} : { status }),
    ...(reason === undefined ? {} : { statusReason: reason }),
    ...(keys === undefined ? {} : { keys }),
    ...twinActions('tags', setTag, options.remove),
    ...twinActions('desired', setDesired, options.remove),
  };
  const others = Object.keys(then).length;
  if (remove !== true) return others === 0 ? null : then;
  if (others === 0) return { delete: true };
  throw new HubferryError('USAGE', '--delete goes with no other action.');
}

function twinActions(
  part: 'tags' | 'desired',
  assignments: readonly Assignment[],
  removals: readonly string[],
): Actions {
  const remove = removals.flatMap((path) =>
    path.startsWith(`${part}.`) ? [path.slice(part.length + 1)] : [],
  );
  for (const path of removals) {
    const known = /^(?:tags|desired)\.(.+)$/.exec(path)?.[1];
    if (!twinPathText.safeParse(known).success)
      throw new HubferryError('USAGE', '--remove takes a path such as tags.site or desired.a.b.');
  }
  const set = Object.fromEntries(assignments);
  const edits = {
    ...(remove.length > 0 ? { remove } : {}),
    ...(assignments.length > 0 ? { set } : {}),
  };
  return Object.keys(edits).length === 0 ? {} : { [part]: edits };
}

/** @throws HubferryError USAGE */
function sourcesOf(
  { file, ids, importFile, importMode, where, rules }: EditOptions,
  then: Actions | null,
): EditSource[] {
  if (then !== null && ids === undefined && where === undefined)
    throw new HubferryError('USAGE', 'Actions need records: name them with --ids or --where.');
  if (then === null && (ids ?? where) !== undefined)
    throw new HubferryError('USAGE', '--ids and --where need an action, such as --disable.');
  const mode = importMode === undefined ? {} : { mode: importMode };
  const sources: EditSource[] = [];
  if (file !== undefined) sources.push({ file, form: 'edits', ...mode });
  if (ids !== undefined && then !== null)
    sources.push({ file: ids, form: 'ids', action: { ...actionOf(then), ...mode } });
  if (importFile !== undefined) sources.push({ file: importFile, form: 'import', ...mode });
  if (importMode !== undefined && (where ?? rules) !== undefined)
    throw new HubferryError('USAGE', '--import-mode is for lists of edits, not for --where and --rules.');
  return sources;
}

/** What is done with the records of --ids, as an edit says it. */
function actionOf({ delete: remove, status, statusReason, keys, tags, desired }: Actions): Omit<Edit, 'id'> {
  if (remove === true) return { op: 'delete' };
  const patch = ({ remove: paths = [], set = {} }: NonNullable<Actions['tags']>): { merge: JsonObject } => {
    let merge: JsonObject = {};
    for (const path of paths) merge = placed(merge, path.split('.'), null);
    for (const [path, value] of Object.entries(set)) merge = placed(merge, path.split('.'), value);
    return { merge };
  };
  return {
    op: 'update',
    ...(status === undefined ? {} : { status }),
    ...(statusReason === undefined ? {} : { statusReason }),
    ...(keys === undefined ? {} : { keys }),
    ...(tags === undefined ? {} : { tags: patch(tags) }),
    ...(desired === undefined ? {} : { desired: patch(desired) }),
  };
}

/** @throws HubferryError RULE_INVALID, EDIT_INVALID */
function rulesOf({ where, rules }: EditOptions, then: Actions | null): Rule[] {
  const loaded = rules === undefined ? [] : loadRules(rules, 'edit');
  if (where === undefined || then === null) return loaded;
  const fault = faultIn(where);
  if (fault !== null) throw new HubferryError('EDIT_INVALID', `--where: ${fault}`);
  return [{ name: '--where', when: where, then }, ...loaded];
}

interface List {
  readonly edits: number;
  readonly deletes: number;
  readonly sha256: string;
}

/** Reads a list once, to check it. */
async function checkedList(sources: readonly EditSource[]): Promise<List> {
  const hash = createHash('sha256');
  let edits = 0;
  let deletes = 0;
  for await (const item of readEdits(sources)) {
    edits += 1;
    if (item.op === 'delete') deletes += 1;
    hash.update(`${JSON.stringify(item)}\n`);
  }
  if (sources.length > 0 && edits === 0) throw new HubferryError('EDIT_INVALID', 'There are no edits in it.');
  return { edits, deletes, sha256: hash.digest('hex') };
}

/** Puts a list where the run finds it. */
function luggageOf(config: Config, sources: readonly EditSource[], list: List): Luggage {
  return {
    put: async (run) => {
      const storage = await storageWithKeys(config);
      await storage.createContainer(editsContainer(run));
      const writer = storage.writer(editsContainer(run), EDITS_BLOB);
      const hash = createHash('sha256');
      for await (const item of readEdits(sources)) {
        const line = `${JSON.stringify(item)}\n`;
        hash.update(line);
        await writer.write(line);
      }
      await writer.close();
      if (hash.digest('hex') !== list.sha256)
        throw new HubferryError('EDIT_INVALID', 'The list of edits changed while it was read.');
    },
    drop: (run) => openStorage(storageOf(config)).deleteContainer(editsContainer(run)),
  };
}

/** A path in a twin, and its value. */
type Assignment = readonly [path: string, value: unknown];

function assign(text: string, all: readonly Assignment[]): Assignment[] {
  const at = text.indexOf('=');
  const path = text.slice(0, at);
  const value = cellValue(text.slice(at + 1));
  if (at > 0 && twinPathText.safeParse(path).success && value !== null) return [...all, [path, value]];
  throw new InvalidArgumentError('It must be PATH=VALUE, such as location.floor=3.');
}
