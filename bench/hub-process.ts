import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { generateFleet, startSimulator } from '../simulator/index.js';

/** What the parent asks; each is answered by one {@link Answer}. */
export type Ask =
  | { readonly kind: 'load'; readonly devices: number; readonly plain: boolean }
  | { readonly kind: 'memory' };

/** Memory in MB. */
export interface Memory {
  readonly rss: number;
  /** The highest since the process began. */
  readonly peakRss: number;
  /** What the heap really holds, after a collection. */
  readonly heap: number;
}

export type Answer =
  | { readonly kind: 'ready'; readonly adminPort: number; readonly port: number; readonly caFile: string }
  | { readonly kind: 'loaded'; readonly seconds: number }
  | ({ readonly kind: 'memory' } & Memory);

const mb = (bytes: number): number => Math.round(bytes / 1024 / 1024);

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** In bytes. Linux has two numbers for it: that of getrusage starts with what the parent had. */
function peakRss(): number {
  const { maxRSS } = process.resourceUsage();
  if (process.platform !== 'linux') return maxRSS * 1024;
  const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kilobytes ?? maxRSS) * 1024;
}

function memory(): Memory {
  const { rss } = process.memoryUsage();
  const peak = peakRss();
  collect();
  return { rss: mb(rss), peakRss: mb(peak), heap: mb(process.memoryUsage().heapUsed) };
}

function tell(answer: Answer): void {
  process.send?.(answer);
}

const caDir = mkdtempSync(path.join(tmpdir(), 'hubferry-bench-'));
process.once('exit', () => rmSync(caDir, { recursive: true, force: true }));
// Modules that edge devices get from the hub come on top of the records of a fleet.
const simulator = await startSimulator({
  hubs: [{ name: 'a', maxRecords: 2_000_000 }],
  adminPort: 0,
  caDir,
  seed: 1,
});
process.on('message', (ask: Ask) => {
  if (ask.kind === 'memory') {
    tell({ kind: 'memory', ...memory() });
    return;
  }
  const started = performance.now();
  simulator.hub('a').load(generateFleet({ devices: ask.devices, seed: 1, plain: ask.plain }));
  tell({ kind: 'loaded', seconds: (performance.now() - started) / 1000 });
});
// The parent's end is ours.
process.once('disconnect', () => process.exit());
tell({
  kind: 'ready',
  adminPort: simulator.adminPort ?? 0,
  port: simulator.port,
  caFile: simulator.caFile,
});
