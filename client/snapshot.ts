import { Command } from 'commander';
import { hubOf } from '../config/index.js';
import { readerIdOf, type SnapshotInput } from '../workflows/messages.js';
import { type RunOptions, withRunOptions } from './options.js';
import { conduct } from './run.js';
import { configOf, storageWithinReach } from './session.js';

export function snapshotCommand(): Command {
  return withRunOptions(
    new Command('snapshot')
      .summary('copy the registry of HUB into storage; prints the snapshot’s id')
      .description(
        'Runs the hub’s export job and keeps the result, with a manifest, as a snapshot with keys.',
      )
      .argument('<hub>', 'alias of a hub'),
  )
    .addHelpText('after', '\nExample:\n  hubferry snapshot old')
    .action(async (alias: string, options: RunOptions) => {
      const config = configOf(options);
      const { host } = hubOf(config, alias);
      storageWithinReach(config, [host]);
      await conduct(config, options, {
        workflow: 'snapshot',
        workflowId: (run) => readerIdOf('snapshot', run),
        input: (base): SnapshotInput => ({ ...base, source: { kind: 'hub', host } }),
        summary: `snapshot ${alias}`,
        report: { workflow: 'snapshot', source: host, target: null },
      });
    });
}
