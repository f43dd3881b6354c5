import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The folders that hold the program. */
export const ROOMS = [
  'registry',
  'workflows',
  'activities',
  'report',
  'azure',
  'config',
  'worker',
  'client',
  'simulator',
  'demo',
];

export function read(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8');
}

/** The paths of all pages. */
export function pages(): string[] {
  const inDocs = (readdirSync(`${ROOT}docs`, { recursive: true }) as string[]).filter((name) =>
    name.endsWith('.md'),
  );
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...inDocs.map((name) => `docs/${name}`)];
}

/** The sources of a room, by path. */
export function sources(rooms: readonly string[] = ROOMS): { path: string; text: string }[] {
  return rooms.flatMap((room) =>
    (readdirSync(`${ROOT}${room}`, { recursive: true }) as string[])
      .filter((name) => name.endsWith('.ts'))
      .map((name) => ({ path: `${room}/${name}`, text: read(`${room}/${name}`) })),
  );
}

/** The lines of a page's code: fenced, or indented by four blanks, which are taken off. */
export function codeLines(page: string): string[] {
  const lines: string[] = [];
  let fenced = false;
  for (const line of page.split('\n')) {
    if (line.startsWith('```')) fenced = !fenced;
    else if (fenced) lines.push(line);
    else if (line.startsWith('    ')) lines.push(line.slice(4));
  }
  return lines;
}

/** The fenced blocks of one language. */
export function blocks(page: string, language: string): string[] {
  const found = page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'));
  return [...found].map(([, text = '']) => text);
}

/** Everything in single backticks outside of code blocks. */
export function inlineCode(page: string): string[] {
  const prose = page.replaceAll(/^```.*?^```/gms, '').replaceAll(/^ {4}.*$/gm, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);
}

/** The part of a page below one heading, to the next of its rank or above. */
export function section(page: string, heading: string): string {
  const rank = /^#+/.exec(heading)?.[0].length ?? 0;
  const lines = page.split('\n');
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`There is no heading "${heading}".`);
  const rest = lines.slice(from + 1);
  const to = rest.findIndex((line) => {
    const other = /^(#+) /.exec(line)?.[1]?.length;
    return other !== undefined && other <= rank;
  });
  return (to < 0 ? rest : rest.slice(0, to)).join('\n');
}
