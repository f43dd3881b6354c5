import { parseArgs } from 'node:util';
import { fuzz, fuzzCredentials } from '../simulator/fuzz.js';
import { startStand } from '../simulator/stand.js';

/**
 * Sends bad requests to a simulator, far more than the tests do: `npm run fuzz -- --requests 20000 --seed 1`. The last
 * line is the result; the exit code is 1 when an answer was wrong.
 */
const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
  },
});
const requests = Number(values.requests);
const seed = Number(values.seed);
if (!Number.isSafeInteger(requests) || requests < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('--requests must be a whole number from 1 up, --seed a whole number\n');
  process.exit(2);
}

let unhandled = 0;
process.on('unhandledRejection', (error) => {
  unhandled++;
  process.stderr.write(`unhandled: ${String(error)}\n`);
});

const stand = await startStand();
const began = performance.now();
const credentials = await fuzzCredentials(stand.sim, stand.client);
const { statuses, problems } = await fuzz(stand.sim, credentials, { requests, seed });
const alive = (await stand.client.ask('GET', '/devices')).status === 200;
const seconds = ((performance.now() - began) / 1000).toFixed(1);
await stand.close();
for (const problem of problems.slice(0, 20)) process.stderr.write(`${problem}\n\n`);
const histogram = Object.entries(statuses)
  .map(([status, count]) => `${status} ${count}x`)
  .join(', ');
const failed = problems.length > 0 || unhandled > 0 || !alive;
process.exitCode = failed ? 1 : 0;
process.stdout.write(
  `fuzz: ${requests} requests, seed ${seed}, ${seconds} s: ${histogram}; ${problems.length} problems, ` +
    `${unhandled} unhandled, ${alive ? 'alive' : 'dead'}, exit ${process.exitCode}\n`,
);
