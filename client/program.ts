import { Command, Help, type Option } from 'commander';
import { HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import { VERSION } from '../worker/version.js';
import { fail } from './fail.js';
import { onInterrupt } from './interrupt.js';
import { VERBS } from './verbs.js';

/** They run until a signal and know what to do with it. */
const SERVERS: ReadonlySet<string> = new Set(['worker', 'simulator']);

/** The whole CLI as a commander program; does nothing until it is parsed. */
export function program(): Command {
  const hubferry = new Command('hubferry')
    .description(
      'Moves the device registry of one Azure IoT hub to another, durably, and proves that it arrived.',
    )
    .version(VERSION)
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry check\n  hubferry plan old new\n  hubferry migrate old new\n' +
        '\nExit codes: 0 done and verified · 1 failed · 2 wrong usage or configuration\n' +
        '            3 finished with differences · 4 cancelled\n' +
        '            130 Ctrl-C (a run that was started goes on)',
    );
  for (const verb of VERBS) hubferry.addCommand(verb());
  const below = hubferry.commands.flatMap((verb) => verb.commands);
  for (const command of [hubferry, ...hubferry.commands, ...below]) {
    command.exitOverride();
    command.showHelpAfterError('(add --help for the options)');
    command.configureHelp({ helpWidth: 80, optionDescription });
    // It quotes what it does not understand, which may be a secret in the wrong place.
    command.configureOutput({ outputError: (text, write) => write(maskSecrets(text)) });
  }
  hubferry.hook('preAction', (_, verb) => {
    if (!SERVERS.has(verb.name()))
      onInterrupt(() => fail(new HubferryError('INTERRUPTED', 'Interrupted; no run was started.')));
  });
  return hubferry;
}

/** As commander says it, but for defaults that go without saying: a switch is off, a list is empty. */
function optionDescription(option: Option): string {
  const { defaultValue, description } = option;
  const plain = defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0);
  return plain ? description : new Help().optionDescription(option);
}
