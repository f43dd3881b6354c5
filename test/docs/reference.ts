import type { Command } from 'commander';
import { program } from '../../client/program.js';

/** Said at the head of every page, so that nobody edits it by hand. */
const MADE = '<!-- Made from --help by npm run docs:reference. -->';

/** The pages of the reference by file name, as the program itself tells them. */
export function referencePages(): Map<string, string> {
  const hubferry = program();
  const verbs = hubferry.commands.map((verb): [string, string] => [`${verb.name()}.md`, page(verb)]);
  return new Map([['README.md', index(hubferry)], ...verbs]);
}

function index(hubferry: Command): string {
  const rows = hubferry.commands.map((verb) => `| [${verb.name()}](${verb.name()}.md) | ${verb.summary()} |`);
  const table = ['| verb | does |', '|---|---|', ...rows];
  return [MADE, '', '# Commands', '', ...table, '', ...helpOf(hubferry), ''].join('\n');
}

function page(verb: Command): string {
  const lines = [MADE, '', `# hubferry ${verb.name()}`, '', ...helpOf(verb), ''];
  for (const inner of verb.commands)
    lines.push(`## hubferry ${verb.name()} ${inner.name()}`, '', ...helpOf(inner), '');
  return lines.join('\n');
}

/** What `--help` prints. */
function helpOf(command: Command): string[] {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
  command.outputHelp();
  return ['```text', ...text.trimEnd().split('\n'), '```'];
}
