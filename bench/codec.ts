import { parseArgs } from 'node:util';
import { parseLine, printDesiredLine } from '../registry/line.js';
import { quickDesired, quickRecord } from '../registry/quick-line.js';
import { exportedLine } from './fleet.js';

/**
 * What it takes to read a line in several ways, beside `JSON.parse` and `JSON.stringify` of it: processor time, the best of
 * some rounds. This is why lines are read by a regular expression: it costs less than to look at each character.
 *
 *     npm run bench:codec
 */
const { values: asks } = parseArgs({
  options: { lines: { type: 'string', default: '50000' }, rounds: { type: 'string', default: '7' } },
});
const lines = Array.from({ length: Number(asks.lines) }, (_, n) => exportedLine(n));
const desired = lines.map((line) => printDesiredLine(parseLine(line), null));

/** Characters that a scanner would have to stop at. */
function marksIn(line: string): number {
  let marks = 0;
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code < 0x20 || code === 0x22 || code === 0x5c) marks += 1;
  }
  return marks;
}

const ways: Record<string, (line: string, n: number) => unknown> = {
  'JSON.parse + JSON.stringify': (line) => JSON.stringify(JSON.parse(line)),
  'JSON.parse': (line) => JSON.parse(line) as unknown,
  'each character looked at': marksIn,
  'parseLine (exact)': parseLine,
  'quickRecord (exported line)': quickRecord,
  'quickDesired (desired line)': (_line, n) => quickDesired(desired[n] ?? ''),
};

/** Microseconds a line. */
function costOf(way: (line: string, n: number) => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < Number(asks.rounds); round++) {
    const before = process.cpuUsage();
    for (const [n, line] of lines.entries()) way(line, n);
    best = Math.min(best, process.cpuUsage(before).user / lines.length);
  }
  return best;
}

const whole = costOf(ways['JSON.parse + JSON.stringify'] ?? parseLine);
for (const [name, way] of Object.entries(ways)) {
  const cost = costOf(way);
  process.stdout.write(
    `${name.padEnd(30)}${cost.toFixed(2).padStart(7)} µs${(whole / cost).toFixed(1).padStart(7)} ×\n`,
  );
}
