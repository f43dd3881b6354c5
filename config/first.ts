import { HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import { isHost } from './connection-strings.js';
import { canonicalHost } from './host.js';
import { parseConfig } from './load.js';

/** How a hub or the storage account is asked: by the connection string in an environment variable, or under Entra ID. */
export type Access = { readonly env: string } | { readonly address: string };

export interface FirstHub {
  readonly alias: string;
  readonly access: Access;
  readonly readOnly: boolean;
}

/** What a first configuration is made of. It holds no secret, and has no place for one. */
export interface FirstConfig {
  readonly hubs: readonly FirstHub[];
  readonly storage: Access;
  /** Null: the embedded server. */
  readonly temporal: { readonly address: string; readonly namespace: string } | null;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The name of the environment variable that holds a hub's connection string, where nobody says another. */
export function variableOf(alias: string): string {
  const name = `${alias.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_HUB`;
  return NAME.test(name) ? name : `HUB_${name}`;
}

/**
 * Reads how a hub is asked: a host name, or the name of an environment variable.
 *
 * @throws HubferryError USAGE, also for a connection string: a secret has no place on a command line
 */
export function hubAccess(text: string): Access {
  const host = canonicalHost(text);
  if (NAME.test(text)) return { env: text };
  if (host.includes('.') && isHost(host)) return { address: host };
  throw neither(text, 'the host name of a hub');
}

/** The same for storage: the https URL of its blob endpoint, or the name of an environment variable. @throws as above */
export function storageAccess(text: string): Access {
  if (NAME.test(text)) return { env: text };
  if (/^https:\/\/[^\s/?#@]+(?:\/[^\s?#@]*)?$/.test(text)) return { address: text };
  throw neither(text, 'the https address of a blob endpoint');
}

function neither(text: string, otherwise: string): HubferryError {
  const secret = /[;=?]/.test(text);
  return new HubferryError(
    'USAGE',
    secret
      ? 'This looks like a secret: what is given here is only the name of the environment variable that holds it.'
      : `‘${maskSecrets(text)}’ is neither ${otherwise} nor the name of an environment variable.`,
    'Such as OLD_HUB for a connection string, or x.azure-devices.net for Microsoft Entra ID.',
  );
}

/** The variables that a configuration refers to, each with what has to be put into it. */
export function variablesOf({
  hubs,
  storage,
}: FirstConfig): { readonly name: string; readonly value: string }[] {
  const found = new Map<string, string>();
  for (const { access } of hubs) if ('env' in access) found.set(access.env, HUB_VALUE);
  if ('env' in storage) found.set(storage.env, STORAGE_VALUE);
  return [...found].map(([name, value]) => ({ name, value }));
}

const HUB_VALUE = 'HostName=…;SharedAccessKeyName=iothubowner;SharedAccessKey=…';
const STORAGE_VALUE = 'DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…';

/** The text of `hubferry.yaml`, with a comment on what may be added. @throws HubferryError USAGE, CONFIG_INVALID */
export function firstConfig(first: FirstConfig): string {
  const text = [
    '# Made by `hubferry init`. hubferry.example.yaml of the package shows every key with its default.',
    '# ${NAME} is replaced by the environment variable NAME, so that no secret stands in this file.',
    '',
    '# The hubs, by names of your choice. `readOnly` forbids everything that would change a hub; exports are allowed.',
    'hubs:',
    ...first.hubs.flatMap(({ alias, access, readOnly }) => [
      `  ${keyOf(alias)}:`,
      ...('env' in access
        ? [
            '    # Portal: the hub, "Shared access policies", "iothubowner", "Primary connection string".',
            `    connectionString: "\${${access.env}}"`,
          ]
        : ['    # Asked under Microsoft Entra ID, see docs/identity.md.', `    hostName: ${access.address}`]),
      `    readOnly: ${readOnly}`,
      '    # tier: S1 # with `units` it says how many calls the hub takes',
      '    # units: 1',
    ]),
    '',
    '# Where snapshots, plans and reports are kept. The hubs read and write it, too.',
    'storage:',
    ...('env' in first.storage
      ? [
          '  # Portal: the storage account, "Access keys", "Connection string". It needs AccountKey.',
          `  connectionString: "\${${first.storage.env}}"`,
        ]
      : [`  accountUrl: ${first.storage.address}`]),
    '',
    ...(first.temporal === null
      ? [
          '# Left out, hubferry runs a Temporal server and a worker of its own in the background.',
          '# temporal:',
          '#   address: temporal.example:7233',
          '#   namespace: default',
        ]
      : [
          '# The Temporal server. Somewhere `hubferry worker` has to run.',
          'temporal:',
          `  address: ${JSON.stringify(first.temporal.address)}`,
          `  namespace: ${JSON.stringify(first.temporal.namespace)}`,
        ]),
    '',
    '# Sizes, waits and limits of runs, for example:',
    '# settings:',
    '#   settle: 30s # wait between the last job and the snapshot that verifies it',
    '#   chunkLines: 50000 # lines of one import job',
    '',
  ].join('\n');
  parseConfig('hubferry.yaml', text, { env: standIns(first) });
  return text;
}

/** Words that YAML, old or new, takes for something else than a text. */
const YAML_WORDS = /^(?:y|n|yes|no|on|off|true|false|null)$/i;

const keyOf = (alias: string): string =>
  /^[A-Za-z][\w-]*$/.test(alias) && !YAML_WORDS.test(alias) ? alias : JSON.stringify(alias);

/** Values that are good enough to check the rest by. */
function standIns({ hubs, storage }: FirstConfig): NodeJS.ProcessEnv {
  const key = 'AAAA';
  const values: NodeJS.ProcessEnv = {};
  for (const [place, { access }] of hubs.entries())
    if ('env' in access)
      values[access.env] =
        `HostName=hub-${place}.example;SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`;
  if ('env' in storage) {
    const clash = values[storage.env] !== undefined;
    if (clash)
      throw new HubferryError(
        'USAGE',
        `${storage.env} cannot hold a hub’s connection string and that of storage.`,
      );
    values[storage.env] = `AccountName=account;AccountKey=${key}`;
  }
  return values;
}
