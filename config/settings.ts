import { z } from 'zod';
import { DURATION, parseDuration } from './duration.js';

const duration = z
  .string()
  .regex(DURATION, 'expected a duration such as 250ms, 30s, 15m, 12h or 1d')
  .transform(parseDuration);

const count = z.int().min(1);

/** A port alone is one of loopback: metrics are shown to other machines only where somebody says so. */
const METRICS_PLACE = /^(?:(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):)?(\d{1,5})$/;

/** What is said where something else is given. */
export const METRICS_PLACE_WORDS = 'expected a port such as 9464, or address and port such as 0.0.0.0:9464';

/** `9464` or `0.0.0.0:9464`, as `address:port`. */
export const metricsAddress = z.union([z.int(), z.string()]).transform((value, context) => {
  const [, address = '127.0.0.1', port = ''] = METRICS_PLACE.exec(String(value)) ?? [];
  if (Number(port) >= 1 && Number(port) <= 65_535) return `${address}:${port}`;
  context.addIssue({ code: 'custom', message: METRICS_PLACE_WORDS });
  return z.NEVER;
});

/**
 * `settings:` with its defaults, each with the reason for its value. The service's numbers come from its documentation
 * (quotas and throttling; bulk identity management; migration guide).
 */
export const settingsSchema = z.strictObject({
  // One import job each, 12 minutes at the documented 70 devices/s: short enough for a useful pause point, and twenty
  // jobs for the largest registry a hub can hold (1,000,000 records).
  chunkLines: count.prefault(50_000).describe('Lines of one import job.'),
  // A record with both keys, full tags (8 KB) and desired (32 KB) stays below 100 KB even when every character is
  // escaped; ten times that means the file is damaged.
  maxLineBytes: z.int().min(1_024).prefault(1_048_576).describe('Longest line that is read, in bytes.'),
  // Parsed, a partition takes about ten times its size in memory; of 8 MiB several can be joined at once in half a GB. A
  // hub that is full has about a hundred of them.
  partitionBytes: z.int().min(1_024).prefault(8_388_608).describe('Target size of one partition, in bytes.'),
  // Time to read a plan and say yes, without the target having moved far.
  planMaxAge: duration
    .prefault('15m')
    .describe('A plan older than this is made again before the first write.'),
  // Microsoft's own tests poll for minutes, their documentation says "a few seconds" until an import is visible.
  settle: duration.prefault('30s').describe('Wait between the last job and the snapshot that verifies it.'),
  poll: z
    .strictObject({
      // A job of a few records ends within about 3 s.
      first: duration.prefault('1s').describe('Shortest wait between two looks at a job.'),
      // Waits follow the job's progress (workflows/poll.ts): this keeps a job of 12 h under 100 looks.
      max: duration.prefault('30m').describe('Longest wait between two looks at a job.'),
    })
    .prefault({})
    .describe('How often a running job is looked at.'),
  // A stranger's job is over when it is over; asking four times a minute costs 4 % of one S1 unit's job calls.
  slotWait: duration.prefault('15s').describe('Wait before a hub whose slot is taken is tried again.'),
  // Longer than most outages of a cloud service and any restart of ours, short enough that somebody is told the same day.
  patience: duration
    .prefault('1h')
    .describe('How long a fault that may pass is tried again before the run rests.'),
  // 1,000,000 records at the documented 70 devices/s take 4 h; three times that is not slow but stuck.
  jobDeadline: duration.prefault('12h').describe('A job that runs longer than this counts as stuck.'),
  // The documented 4 h of the largest job plus half: it ends well even if no worker lives to extend its access. It is
  // extended whenever half of it is over, and ends with the job.
  sasLifetime: duration.prefault('6h').describe('How long a job may use its containers unless extended.'),
  // The first round mends what a lost job left open; what is still different after the second will not be mended by
  // sending it again.
  repairRounds: z.int().min(0).prefault(2).describe('How often differences found by verify are sent again.'),
  // A hub that merges twins does it to all of them. One S1 unit takes 50 twin writes a second (facts §5), so these take
  // minutes; more of them would be a migration of their own, by the slow way.
  maxTwinCalls: z
    .int()
    .min(0)
    .prefault(10_000)
    .describe('Twins that an import merged and that are put right one by one, at most.'),
  // Longer than any pause of a healthy worker (a storage request may take its 20 s), short enough for a quick takeover.
  heartbeat: duration.prefault('30s').describe('A worker silent for this long is taken for dead.'),
  // Twelve questions a minute, below the 20 queries a minute of one S1 unit.
  edgePoll: duration.prefault('5s').describe('Wait between two looks for new edge devices.'),
  // Once created, devices were seen by a query after about 1.4 s; a minute is far beyond it.
  visible: duration.prefault('60s').describe('How long a new job or edge device may stay invisible.'),
  // Not of a run but of the worker that reads this file, so it is taken out before settings travel.
  metricsPort: metricsAddress
    .optional()
    .describe('Where a worker serves metrics: a port of this machine, or address:port. Left out: nowhere.'),
  // Of a worker, too: all its runs share what a hub lets through.
  rates: z
    .number()
    .gt(0)
    .max(1_000)
    .prefault(1)
    .describe('The part of the documented throttles of a hub that each worker uses, such as 0.5.'),
  // Not of a run but of each process: one that starts a run may seal with another key than the worker that goes on.
  keyId: z
    .string()
    .optional()
    .describe('The key of `keys` that new data is sealed with. Left out: nothing is.'),
});
