import { parseArgs } from 'node:util';
import { parseLine, printDesiredLine } from '../registry/line.js';
import { quickDesired, quickRecord } from '../registry/quick-line.js';
import { type LineBytes, newSpans, scanDesired, scanExported, scanHead } from '../registry/scan-line.js';
import { exportedLine } from './fleet.js';

/**
 * What it takes to read a line in several ways, beside `JSON.parse` and `JSON.stringify` of it: processor time, the best of
 * some rounds.
 *
 *     npm run bench:codec
 */
const { values: asks } = parseArgs({
  options: { lines: { type: 'string', default: '50000' }, rounds: { type: 'string', default: '7' } },
});
const lines = Array.from({ length: Number(asks.lines) }, (_, n) => exportedLine(n));
const NONE: LineBytes = { bytes: Buffer.alloc(0), from: 0, to: 0 };
const desired = lines.map((line) => printDesiredLine(parseLine(line), null));

/** Lines as blobs hold them. */
function bytesOf(texts: readonly string[]): LineBytes[] {
  const bytes = Buffer.from(`${texts.join('\n')}\n`);
  let from = 0;
  return texts.map((text) => {
    const line = { bytes, from, to: from + text.length };
    from = line.to + 1;
    return line;
  });
}

const exportedBytes = bytesOf(lines);
const desiredBytes = bytesOf(desired);
const spans = newSpans();

const ways: Record<string, (n: number) => unknown> = {
  'JSON.parse + JSON.stringify': (n) => JSON.stringify(JSON.parse(lines[n] ?? '')),
  'JSON.parse': (n) => JSON.parse(lines[n] ?? '') as unknown,
  'parseLine (exact)': (n) => parseLine(lines[n] ?? ''),
  'scan of an exported line': (n) => scanExported(exportedBytes[n] ?? NONE, spans),
  'scan of a desired line': (n) => scanDesired(desiredBytes[n] ?? NONE, spans),
  'scan of its beginning': (n) => scanHead(desiredBytes[n] ?? NONE, spans),
  'quickRecord (exported line)': (n) => quickRecord(exportedBytes[n] ?? NONE),
  'quickDesired (desired line)': (n) => quickDesired(desiredBytes[n] ?? NONE),
};

/** Microseconds a line. */
function costOf(way: (n: number) => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < Number(asks.rounds); round++) {
    const before = process.cpuUsage();
    for (let n = 0; n < lines.length; n++) way(n);
    best = Math.min(best, process.cpuUsage(before).user / lines.length);
  }
  return best;
}

const whole = costOf(ways['JSON.parse + JSON.stringify'] ?? (() => null));
for (const [name, way] of Object.entries(ways)) {
  const cost = costOf(way);
  process.stdout.write(
    `${name.padEnd(30)}${cost.toFixed(2).padStart(7)} µs${(whole / cost).toFixed(1).padStart(7)} ×\n`,
  );
}
