import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Judgement, judge } from './judge.js';
import { type Lane, type Observed, openLane } from './lane.js';
import { type Mix, mixOf, wordsOf } from './mix.js';

/**
 * Whole migrations under random mixes of faults: `npm run test:chaos -- --runs 200 --seed 1`. Each seed is a mix, the same
 * whenever it is asked for. The exit code is 1 when a run was not right.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '2' },
    /** A run that has not ended by then is stuck. */
    minutes: { type: 'string', default: '5' },
    /** Prints the mixes as JSON instead of playing them. */
    show: { type: 'boolean', default: false },
    /** A folder for all that was seen of runs that were not right. */
    keep: { type: 'string' },
  },
});
const runs = Number(values.runs);
const first = Number(values.seed);
const lanes = Number(values.lanes);
const minutes = Number(values.minutes);
if (
  ![runs, lanes, minutes].every((count) => Number.isSafeInteger(count) && count >= 1) ||
  !Number.isSafeInteger(first)
) {
  process.stderr.write(
    '--runs, --lanes and --minutes are whole numbers from 1 up, --seed is a whole number\n',
  );
  process.exit(2);
}
const seeds = Array.from({ length: runs }, (_, n) => first + n);
if (values.show) {
  for (const seed of seeds) process.stdout.write(`${JSON.stringify(mixOf(seed), null, 2)}\n`);
  process.exit(0);
}

/** Azurite collects what was deleted ten minutes after its start, and answers nobody meanwhile. */
const LANE_LASTS = 8 * 60_000;

interface Played {
  readonly mix: Mix;
  readonly seen: Observed | null;
  readonly judgement: Judgement;
}

const began = performance.now();
const played: Played[] = [];
const queue = [...seeds];

async function work(): Promise<void> {
  let lane: Lane | undefined;
  let opened = 0;
  for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
    const mix = mixOf(seed);
    let one: Played;
    try {
      if (lane !== undefined && performance.now() - opened > LANE_LASTS) {
        await lane.close();
        lane = undefined;
      }
      if (lane === undefined) {
        lane = await openLane();
        opened = performance.now();
      }
      const seen = await lane.play(mix, minutes * 60_000);
      one = { mix, seen, judgement: judge(seen) };
    } catch (error) {
      one = {
        mix,
        seen: null,
        judgement: { grade: 'broken', faults: [`the test itself: ${String(error)}`] },
      };
    }
    played.push(one);
    tell(one);
    // What a run that was not right has left behind is not to be blamed on the next.
    if (one.judgement.grade !== 'right') {
      await lane?.close();
      lane = undefined;
    }
  }
  await lane?.close();
}

/** One line of 80 columns, and what is not right below it. */
function tell({ mix, seen, judgement: { grade, faults } }: Played): void {
  const times = seen === null ? '' : ` ${seen.seconds.toFixed(0)} s`;
  const commands = seen === null ? 0 : seen.commands.length;
  const end = `${grade === 'right' ? 'right' : grade.toUpperCase()}${commands > 1 ? ` ×${commands}` : ''}${times}`;
  const room = 80 - end.length - 1;
  const words = `${mix.seed}: ${wordsOf(mix)}`;
  process.stdout.write(
    `${(words.length > room - 1 ? `${words.slice(0, room - 2)}…` : words).padEnd(room)} ${end}\n`,
  );
  for (const fault of faults) process.stdout.write(`    ${fault}\n`);
  if (grade === 'right') return;
  process.stdout.write(`    again: npm run test:chaos -- --runs 1 --seed ${mix.seed}\n`);
  if (values.keep === undefined || seen === null) return;
  const file = join(values.keep, `seed-${mix.seed}.json`);
  writeFileSync(file, JSON.stringify({ ...seen, struck: Object.fromEntries(seen.struck) }, null, 2));
}

await Promise.all(Array.from({ length: Math.min(lanes, runs) }, work));

const count = (grade: Judgement['grade']): number =>
  played.filter(({ judgement }) => judgement.grade === grade).length;
const struck = new Map<string, number>();
for (const { seen } of played)
  for (const [kind, times] of seen?.struck ?? []) struck.set(kind, (struck.get(kind) ?? 0) + times);
process.stdout.write('\nfaults that struck:\n');
for (const [kind, times] of [...struck].toSorted(([one], [other]) => one.localeCompare(other)))
  process.stdout.write(`  ${kind.padEnd(30)} ${times}\n`);
const took = (performance.now() - began) / 60_000;
process.stdout.write(
  `\n${played.length} runs, seeds ${first} to ${first + runs - 1}, ${took.toFixed(1)} minutes: ` +
    `${count('right')} right, ${count('broken')} broken, ${count('stuck')} stuck, ${count('wrong')} wrong\n`,
);
process.exitCode = count('right') === runs ? 0 : 1;
