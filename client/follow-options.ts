import { type Command, Option } from 'commander';
import type { Config } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import type { Rule } from '../registry/rules.js';
import type { FollowInput, MigrateInput, Source } from '../workflows/messages.js';
import { deletesAtMost, milliseconds } from './options.js';

export interface FollowOptions {
  readonly follow: boolean;
  readonly cutOverBelow: number;
  /** ms */
  readonly passEvery: number;
  readonly disableSource: boolean;
  /** ms */
  readonly cutBackAfter: number;
}

/** Adds the options of a run that follows its source. */
export function withFollowOptions(command: Command): Command {
  return command
    .optionsGroup('Following a source that is still used (docs/cut-over.md):')
    .option('--follow', 'copy what changes again and again, until `approve` lets the target take over', false)
    .addOption(
      new Option('--cut-over-below <records>', 'offer the cut-over when a pass finds no more changes')
        .argParser(deletesAtMost)
        .default(100),
    )
    .addOption(
      new Option('--pass-every <duration>', 'wait between two passes')
        .argParser(milliseconds)
        .default(15 * 60_000, '15m'),
    )
    .option('--disable-source', 'disable the devices of the source before the last pass', false)
    .addOption(
      new Option('--cut-back-after <duration>', 'enable them again when nobody has approved by then')
        .argParser(milliseconds)
        .default(3_600_000, '1h'),
    )
    .optionsGroup('Options:');
}

/** What of a run's options cannot be followed, and why. */
const REFUSED = {
  plan: '--plan is about one moment; a run that follows plans anew in each pass.',
  recheckSource: '--recheck-source is for a run that looks once; one that follows looks again and again.',
  existing: '--existing skip leaves records as they are; what is left alone cannot follow the source.',
  keys: 'New keys would be made again in every pass; take --follow without --keys and rules that make keys.',
} as const;

/** What a run is given that follows its source; nothing where it does not. @throws HubferryError USAGE, HUB_READ_ONLY */
export function followOf(
  config: Config,
  source: Source,
  options: Partial<FollowOptions> &
    Partial<Pick<MigrateInput, 'existing' | 'recheckSource'>> & {
      readonly plan?: string;
      readonly rules?: readonly Rule[] | string;
    },
): Partial<Pick<FollowInput, 'follow'>> {
  const { follow, cutOverBelow = 0, passEvery = 0, disableSource = false, cutBackAfter = 0 } = options;
  if (follow !== true) {
    if (disableSource) throw new HubferryError('USAGE', '--disable-source is for a run with --follow.');
    return {};
  }
  if (source.kind !== 'hub')
    throw new HubferryError('USAGE', '--follow copies a hub again and again; a snapshot does not change.');
  const rules = typeof options.rules === 'object' ? options.rules : [];
  const refused = {
    plan: options.plan !== undefined,
    recheckSource: options.recheckSource === true,
    existing: options.existing === 'skip',
    keys: rules.some(({ then: { keys = 'keep' } }) => keys.startsWith('regenerate')),
  };
  for (const [name, why] of Object.entries(REFUSED))
    if (refused[name as keyof typeof REFUSED]) throw new HubferryError('USAGE', why);
  const hub = [...config.hubs.values()].find(({ host }) => host === source.host);
  if (disableSource && hub?.readOnly)
    throw new HubferryError('HUB_READ_ONLY', `${source.host} is marked readOnly in ${config.path}.`);
  return { follow: { below: cutOverBelow, every: passEvery, disableSource, cutBackAfter } };
}
