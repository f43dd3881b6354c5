import { z } from 'zod';
import { RUN_CONTAINERS, SHARED_CONTAINER } from '../registry/containers.js';
import { KEY_WORDS, keyText } from '../registry/key-text.js';
import { isHost, readEndpoint } from './connection-strings.js';
import { canonicalHost } from './host.js';
import { TIERS } from './model.js';
import { settingsSchema } from './settings.js';

/** Aliases stand on the command line next to `snapshot:ID` and in file names, so neither `:` nor `/` is in them. */
/** A name that a user chooses, for a hub or a schedule. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const alias = z.string().regex(NAME, 'an alias has up to 64 letters, digits, dots, dashes and underscores');

/** The resource id of a user-assigned managed identity. */
const IDENTITY =
  /^\/subscriptions\/[^/\s]+\/resourceGroups\/[^/\s]+\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[^/\s]+$/i;

/** A container that somebody made beforehand. Those that hubferry makes are named otherwise, so no name means two things. */
const container = z
  .string()
  .regex(
    /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/,
    'the name of a container has 3 to 63 lower-case letters and digits, and single dashes between them',
  )
  .refine(
    (name) => name !== SHARED_CONTAINER && !name.startsWith(RUN_CONTAINERS),
    `hubferry makes containers named ${SHARED_CONTAINER} and ${RUN_CONTAINERS}… itself; take another name`,
  )
  .optional();

const hubMembers = z.strictObject({
  connectionString: z
    .string()
    .optional()
    .describe('Of a shared access policy of the hub; best as "${NAME}". Or hostName.'),
  hostName: z
    .string()
    .refine((text) => isHost(canonicalHost(text)), 'expected a host name such as x.azure-devices.net')
    .transform(canonicalHost)
    .optional()
    .describe('Of a hub that is asked under Microsoft Entra ID, as the identity of the worker.'),
  identity: z
    .string()
    .refine(
      (text) => text === 'system' || IDENTITY.test(text),
      'expected system, or the resource id of a user-assigned identity (/subscriptions/…)',
    )
    .optional()
    .describe(
      'The managed identity of the hub that opens the containers of its jobs; left out, each gets a SAS.',
    ),
  readOnly: z.boolean().default(false).describe('Refuse everything that would change this hub.'),
  tier: z
    .enum(TIERS)
    .default('S1')
    .describe('Of the hub. It says, with `units`, how many calls the hub takes.'),
  units: z.int().min(1).max(200).default(1),
  // The documented limit for devices plus modules, on every paid tier.
  maxRecords: z.int().min(1).default(1_000_000).describe('Devices plus modules that the hub takes.'),
  role: z.enum(['scratch']).optional().describe('scratch: a hub that drills may fill and empty.'),
  container: container.describe(
    'A container made beforehand, for the jobs of this hub alone; left out, each job gets one of its own.',
  ),
});

const hub = oneOf(hubMembers, 'connectionString', 'hostName');

const storage = oneOf(
  z.strictObject({
    connectionString: z
      .string()
      .optional()
      .describe('With the account key; best as "${NAME}". Or accountUrl.'),
    accountUrl: z
      .string()
      .transform((text, context) => {
        const endpoint = readEndpoint(text);
        if (typeof endpoint === 'string' && endpoint.startsWith('https:')) return endpoint;
        // Tokens are never sent over plain HTTP.
        const fault = typeof endpoint === 'string' ? 'is not https' : endpoint.fault;
        context.addIssue({ code: 'custom', message: `this ${fault}` });
        return z.NEVER;
      })
      .optional()
      .describe('The blob endpoint of an account that is asked under Microsoft Entra ID.'),
    container: container.describe(
      'A container made beforehand, in which everything else is kept; with it, every hub needs one, too.',
    ),
  }),
  'connectionString',
  'accountUrl',
);

const temporal = oneOf(
  z.strictObject({
    address: z
      .string()
      .regex(/^[^\s/:]+:\d{1,5}$/, 'expected host:port')
      .optional()
      .describe('host:port, without TLS. Or environment.'),
    namespace: z.string().min(1).optional().describe('With address; left out: default.'),
    environment: z
      .literal(true)
      .optional()
      .describe('Address, namespace, API key and TLS as in TEMPORAL_… of the environment, or a profile.'),
    profile: z.string().min(1).optional().describe('With environment: of temporal.toml.'),
  }),
  'address',
  'environment',
).superRefine(({ address, namespace, profile }, context) => {
  const wrong = (name: string, other: string): void =>
    context.addIssue({ code: 'custom', path: [name], message: `this goes with ${other} only` });
  if (address !== undefined && profile !== undefined) wrong('profile', 'environment');
  if (address === undefined && namespace !== undefined) wrong('namespace', 'address');
});

/** A vault's own address: tokens are never sent over plain HTTP, and its secrets are named on their own. */
const VAULT = /^https:\/\/[^/?#@\s]+\/?$/;

const key = z.union(
  [
    z.string().transform((text, context) => {
      const found = keyText(text);
      if (found !== null) return found;
      context.addIssue({ code: 'custom', message: KEY_WORDS });
      return z.NEVER;
    }),
    z.strictObject({
      vault: z
        .string()
        .refine((text) => VAULT.test(text) && URL.canParse(text), 'expected https://NAME.vault.azure.net')
        .transform((text) => new URL(text).origin)
        .describe('The Azure Key Vault that holds the key; it is asked as the identity of the process.'),
      secret: z
        .string()
        .regex(/^[0-9A-Za-z-]{1,127}$/, 'the name of a secret has up to 127 letters, digits and dashes')
        .describe('Name of the secret: base64 of 32 bytes.'),
    }),
  ],
  `${KEY_WORDS}, or vault and secret`,
);

/** Exactly one of two members of an object has to be there. */
function oneOf<T extends z.ZodObject>(
  schema: T,
  first: keyof T['shape'] & string,
  second: keyof T['shape'] & string,
): T {
  return schema
    .superRefine((value, context) => {
      const members: Record<string, unknown> = value;
      const has = [first, second].filter((name) => members[name] !== undefined);
      if (has.length === 1) return;
      context.addIssue(
        has.length === 0
          ? { code: 'custom', path: [], message: `${first} or ${second} is missing` }
          : { code: 'custom', path: [second], message: `there is ${first} already; leave one of them out` },
      );
    })
    .meta({ oneOf: [{ required: [first] }, { required: [second] }] });
}

/** The shape of `hubferry.yaml` once references are replaced. */
export const configSchema = z.strictObject({
  hubs: z.record(alias, hub).describe('The hubs, by a name of your choice.'),
  storage: storage.optional().describe('The storage account for snapshots, plans and reports.'),
  keys: z
    .record(
      z.string().regex(NAME, 'a key id has up to 64 letters, digits, dots, dashes and underscores'),
      key,
    )
    .prefault({})
    .describe(
      'Keys that payloads and snapshots are sealed with, by an id of your choice; best as "${NAME}".',
    ),
  temporal: temporal.optional().describe('A Temporal server; left out, hubferry runs one of its own.'),
  settings: settingsSchema.prefault({}),
});

/** The JSON Schema of `hubferry.yaml`, for editors: what may be written, not what it is resolved to. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input' });
}
