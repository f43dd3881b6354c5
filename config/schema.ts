import { z } from 'zod';
import { TIERS } from './model.js';
import { settingsSchema } from './settings.js';

/** Aliases stand on the command line next to `snapshot:ID` and in file names, so neither `:` nor `/` is in them. */
const alias = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'an alias has up to 64 letters, digits, dots, dashes and underscores',
  );

const hub = z.strictObject({
  connectionString: z.string().describe('Of a shared access policy of the hub; best as "${NAME}".'),
  readOnly: z.boolean().default(false).describe('Refuse everything that would change this hub.'),
  tier: z.enum(TIERS).default('S1').describe('Of the hub, with `units`. Nothing depends on it yet.'),
  units: z.int().min(1).max(200).default(1),
  // The documented limit for devices plus modules, on every paid tier.
  maxRecords: z.int().min(1).default(1_000_000).describe('Devices plus modules that the hub takes.'),
  role: z.enum(['scratch']).optional().describe('scratch: a hub that drills may fill and empty.'),
});

/** The shape of `hubferry.yaml` once references are replaced. */
export const configSchema = z.strictObject({
  hubs: z.record(alias, hub).describe('The hubs, by a name of your choice.'),
  storage: z
    .strictObject({ connectionString: z.string().describe('With the account key; best as "${NAME}".') })
    .optional()
    .describe('The storage account for snapshots, plans and reports.'),
  temporal: z
    .strictObject({
      address: z.string().regex(/^[^\s/:]+:\d{1,5}$/, 'expected host:port'),
      namespace: z.string().min(1).default('default'),
    })
    .optional()
    .describe('A Temporal server; left out, hubferry runs one of its own.'),
  settings: settingsSchema.prefault({}),
});

/** The JSON Schema of `hubferry.yaml`, for editors: what may be written, not what it is resolved to. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input' });
}
