import { chmodSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import {
  CONFIG_FILE,
  type FirstConfig,
  firstConfig,
  hubAccess,
  storageAccess,
  variableOf,
  variablesOf,
} from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import { collect, type FileOptions, withFileOptions } from './options.js';
import { print, printJson, say } from './print.js';

interface Flags extends FileOptions {
  readonly hub: readonly string[];
  readonly readOnly: readonly string[];
  readonly storage?: string;
  readonly temporal?: string;
  readonly namespace?: string;
  readonly force: boolean;
}

/** Asks a person; an empty answer means the fallback. */
export type Ask = (question: string, fallback: string) => Promise<string>;

const EXAMPLES = `
Examples:
  hubferry init
  hubferry init --hub old --hub new --read-only old --storage STORAGE
  hubferry init --hub old=OLD_HUB --hub new=x.azure-devices.net \\
    --storage https://account.blob.core.windows.net \\
    --temporal temporal.example:7233`;

export function initCommand(): Command {
  return withFileOptions(
    new Command('init')
      .summary('write a first configuration, with comments')
      .description(
        'Writes hubferry.yaml. What is not given is asked for, on a terminal. No secret is taken and none is ' +
          'written: connection strings stay in environment variables, which the file only names.',
      ),
  )
    .option(
      '--hub <alias[=from]>',
      'a hub: from NAME, the environment variable of its connection string (default: ALIAS_HUB), or from its ' +
        'host name, under Microsoft Entra ID (repeatable)',
      collect,
      [],
    )
    .option('--read-only <alias>', 'a hub that nothing may change (repeatable)', collect, [])
    .option(
      '--storage <from>',
      'the storage account: NAME of the environment variable of its connection string, or its https address, ' +
        'under Microsoft Entra ID',
    )
    .option('--temporal <host:port>', 'a Temporal server (default: one that hubferry runs itself)')
    .option('--namespace <name>', 'Temporal namespace (default: `default`)')
    .option('--force', 'replace a file that is there', false)
    .addHelpText('after', EXAMPLES)
    .action(init);
}

async function init(flags: Flags): Promise<void> {
  const path = resolve(flags.config ?? CONFIG_FILE);
  const first = isComplete(flags) ? fromFlags(flags) : await asked(flags);
  write(path, firstConfig(first), flags.force);
  const variables = variablesOf(first);
  if (flags.json) {
    printJson({ outcome: 'done', file: path, variables: variables.map(({ name }) => name), error: null });
    return;
  }
  const lines = [`Wrote ${path}.`];
  if (variables.length > 0)
    lines.push('Put the secrets into the environment:', '', ...variables.map(exportLine), '');
  print([...lines, 'Then: hubferry check'].join('\n'));
}

const exportLine = ({ name, value }: { name: string; value: string }): string =>
  `  export ${name}='${value}'`;

const isComplete = ({ hub, storage }: Flags): boolean => hub.length > 0 && storage !== undefined;

async function asked(flags: Flags): Promise<FirstConfig> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) {
    const missing = [...(flags.hub.length === 0 ? ['--hub'] : []), ...(flags.storage ? [] : ['--storage'])];
    throw new HubferryError(
      'USAGE',
      `init has nobody to ask here; it needs ${missing.join(' and ')}.`,
      'Such as: hubferry init --hub old --hub new --read-only old --storage STORAGE',
    );
  }
  say('Connection strings stay in environment variables; only their names are asked for.');
  const prompt = createInterface({ input: stdin, output: stderr });
  prompt.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const unanswered = new Promise<never>((_, reject) => {
    prompt.once('close', () =>
      reject(new HubferryError('USAGE', 'Not all was answered; nothing was written.')),
    );
  });
  unanswered.catch(() => undefined);
  try {
    return await fromAnswers(flags, async (question, fallback) => {
      const words = `${question}${fallback === '' ? '' : ` [${fallback}]`}: `;
      const answer = await Promise.race([prompt.question(words), unanswered]);
      return answer.trim() || fallback;
    });
  } finally {
    prompt.close();
  }
}

/** @throws HubferryError USAGE */
export function fromFlags(flags: Omit<Flags, 'config' | 'json' | 'force'>): FirstConfig {
  const hubs = flags.hub.map((text) => {
    const at = text.indexOf('=');
    const alias = at < 0 ? text : text.slice(0, at);
    const from = at < 0 ? variableOf(alias) : text.slice(at + 1);
    return { alias, access: hubAccess(from), readOnly: flags.readOnly.includes(alias) };
  });
  const unknown = flags.readOnly.find((alias) => hubs.every((hub) => hub.alias !== alias));
  if (unknown !== undefined)
    throw new HubferryError('USAGE', `--read-only ${maskSecrets(unknown)}: there is no --hub of this alias.`);
  const twice = hubs.find(({ alias }, place) => hubs.findIndex((hub) => hub.alias === alias) !== place);
  if (twice !== undefined)
    throw new HubferryError('USAGE', `--hub ${maskSecrets(twice.alias)}: this alias is there twice.`);
  return {
    hubs,
    storage: storageAccess(flags.storage ?? ''),
    temporal:
      flags.temporal === undefined
        ? null
        : { address: flags.temporal, namespace: flags.namespace ?? 'default' },
  };
}

/** Asks for what no flag says. @throws HubferryError USAGE */
export async function fromAnswers(
  flags: Omit<Flags, 'config' | 'json' | 'force'>,
  ask: Ask,
): Promise<FirstConfig> {
  const hub = [...flags.hub];
  const readOnly = [...flags.readOnly];
  if (hub.length === 0) {
    for (const { what, alias: usual, writes } of HUBS) {
      const alias = await ask(`A name for the hub to move ${what}`, usual);
      const from = await ask(
        `${alias}: host name (Entra ID), or variable with its connection string`,
        variableOf(alias),
      );
      hub.push(`${alias}=${from}`);
      if (!/^y/i.test(await ask(`May hubferry write to ${alias}? y or n`, writes))) readOnly.push(alias);
    }
  }
  const storage =
    flags.storage ??
    (await ask('Storage: its https address (Microsoft Entra ID), or the variable', 'STORAGE'));
  const temporal =
    flags.temporal ?? (await ask('A Temporal server, host:port; nothing: hubferry runs one itself', ''));
  return fromFlags({ ...flags, hub, readOnly, storage, ...(temporal === '' ? {} : { temporal }) });
}

const HUBS = [
  { what: 'from', alias: 'old', writes: 'n' },
  { what: 'to', alias: 'new', writes: 'y' },
] as const;

/** @throws HubferryError CONFIG_EXISTS, CONFIG_NOT_FOUND */
function write(path: string, text: string, force: boolean): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: force ? 'w' : 'wx' });
    chmodSync(path, 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    if (code === 'EEXIST') throw new HubferryError('CONFIG_EXISTS', `There is a file ${path} already.`);
    throw new HubferryError('CONFIG_NOT_FOUND', `${path} cannot be written (${code}).`);
  }
}
