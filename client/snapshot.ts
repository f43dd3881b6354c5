import { Command } from 'commander';
import { hubOf } from '../config/index.js';
import { readerIdOf, type SnapshotInput } from '../workflows/messages.js';
import { type RunOptions, withRunOptions } from './options.js';
import { AT_ONCE, type Then } from './run.js';
import { configOf, storageWithinReach } from './session.js';

export function snapshotCommand(then: Then = AT_ONCE): Command {
  return withRunOptions(
    new Command('snapshot')
      .summary('copy the registry of HUB into storage; prints the snapshot’s id')
      .description(
        'Runs the hub’s export job and keeps the result, with a manifest, as a snapshot with keys.\n\n' +
          'With --exclude-keys the hub leaves out the symmetric keys of devices and modules; types of ' +
          'authentication and thumbprints, which it leaves out with them, are added from a query. To ' +
          'migrate from such a snapshot takes --keys regenerate.',
      )
      .argument('<hub>', 'alias of a hub'),
  )
    .option('--exclude-keys', 'leave out the symmetric keys of devices and modules', false)
    .addHelpText('after', '\nExamples:\n  hubferry snapshot old\n  hubferry snapshot old --exclude-keys')
    .action(async (alias: string, options: RunOptions & { readonly excludeKeys: boolean }) => {
      const config = configOf(options);
      const { host } = hubOf(config, alias);
      storageWithinReach(config, [host]);
      await then.conduct(config, options, {
        workflow: 'snapshot',
        workflowId: (run) => readerIdOf('snapshot', run),
        input: (base): SnapshotInput => ({
          ...base,
          source: { kind: 'hub', host },
          ...(options.excludeKeys ? { excludeKeys: true } : {}),
        }),
        summary: `snapshot ${alias}`,
        report: { workflow: 'snapshot', source: host, target: null },
      });
    });
}
