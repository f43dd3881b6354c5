import { parseArgs } from 'node:util';
import { startServices } from '../test/support/services.js';
import { type Calls, throttledMigration } from '../test/support/throttled.js';

/**
 * How near a migration comes to what the throttles of its hub allow, and how often the hub refuses a call: with the
 * budgets of docs/limits.md, and without them (a thousand times as much as the hub takes).
 *
 *     npm run bench:throttle -- --devices 10000 --edges 200 --speed 5
 *
 * The hubs are simulated, with a clock that goes faster. Whatever this machine does itself counts that many times, so a
 * smaller speed measures better and takes longer.
 */
const { values: options } = parseArgs({
  options: {
    devices: { type: 'string', default: '10000' },
    edges: { type: 'string', default: '200' },
    speed: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});

interface Result {
  readonly budgets: boolean;
  readonly outcome: string;
  readonly arrived: boolean;
  /** By the hubs' clock, like the bound. */
  readonly seconds: number;
  readonly bound: number;
  readonly ratio: number;
  readonly answered: number;
  readonly refused: number;
  readonly hubCalls: object;
}

const sum = (calls: readonly Calls[], which: keyof Calls): number =>
  calls.reduce((all, one) => all + one[which], 0);

async function measure(budgets: boolean): Promise<Result> {
  const started = await startServices();
  try {
    const { report, arrived, calls, seconds, bound } = await throttledMigration(started.services, {
      devices: Number(options.devices),
      edges: Number(options.edges),
      speed: Number(options.speed),
      rates: budgets ? 1 : 1_000 / Number(options.speed),
    });
    return {
      budgets,
      outcome: report.outcome,
      arrived,
      seconds: Math.round(seconds),
      bound: Math.round(bound),
      ratio: Math.round((seconds / bound) * 100) / 100,
      answered: sum(Object.values(calls), 'answered'),
      refused: sum(Object.values(calls), 'refused'),
      hubCalls: report.hubCalls,
    };
  } finally {
    await started.stop();
  }
}

const results = [await measure(true), await measure(false)];
if (options.json) {
  process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
} else {
  for (const { budgets, outcome, arrived, seconds, bound, ratio, answered, refused } of results) {
    process.stdout.write(
      `${budgets ? 'with budgets' : 'without'}: ${outcome}, ${arrived ? 'all arrived' : 'NOT all arrived'}; ` +
        `${seconds} s, bound ${bound} s, ratio ${ratio}; ${answered} calls answered, ${refused} refused\n`,
    );
  }
}
