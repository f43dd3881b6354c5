import { Command, InvalidArgumentError } from 'commander';
import { hubOf } from '../config/index.js';
import { throttle } from '../workflows/messages.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { printReport } from './run.js';
import { configOf } from './session.js';
import { steer } from './steer.js';

export function throttleCommand(): Command {
  return withCommonOptions(
    new Command('throttle')
      .summary('let a run spare a hub')
      .description(
        'Limits how many records a second a run sends to a hub by import jobs, on the average over its chunks ' +
          '(a job itself runs as fast as the hub lets it), and how many other calls a second each worker makes ' +
          'there. It holds from the next step on.',
      )
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .requiredOption('--hub <alias>', 'the hub that is to be spared')
    .requiredOption('--rate <number>', 'records and calls a second, or `none` for no limit', rate)
    .addHelpText('after', '\nExample:\n  hubferry throttle 20260801-120000-ab12cd --hub new --rate 20')
    .action(
      async (
        run: string,
        options: CommonOptions & { readonly hub: string; readonly rate: number | null },
      ) => {
        const config = configOf(options);
        const { host } = hubOf(config, options.hub);
        await steer(config, run, async ({ ask, report }) => {
          await ask(throttle, [host, options.rate]);
          printReport(await report(), options.json);
        });
      },
    );
}

function rate(value: string): number | null {
  if (value === 'none') return null;
  const number = /^\d{1,6}(\.\d{1,3})?$/.test(value) ? Number(value) : 0;
  if (number > 0) return number;
  throw new InvalidArgumentError('It must be a number above 0, or none.');
}
