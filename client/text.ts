import { plain } from '../report/format.js';

export { count, duration, estimate, plain, plainJson, typed } from '../report/format.js';

/** A word as a shell takes it: in quotes where it must be. */
export function shellQuote(word: string): string {
  return /^[\w/.:@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** How wide text for this stream may be: a terminal's columns; endless where nobody reads it on a screen. */
export function widthOf(stream: { readonly isTTY?: boolean; readonly columns?: number }): number {
  return stream.isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY;
}

/** Breaks a line at spaces where it is wider than `width`; what follows is indented by `hang` more than the line. */
export function fold(line: string, width: number, hang = 2): string[] {
  const indent = (/^ */.exec(line)?.[0].length ?? 0) + hang;
  const folded: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width);
    // A word that is wider than the screen is left to the terminal.
    const at = space > indent ? space : rest.indexOf(' ', indent + 1);
    if (at < 0) break;
    folded.push(rest.slice(0, at).trimEnd());
    rest = ' '.repeat(indent) + rest.slice(at + 1);
  }
  return [...folded, rest];
}

/** Columns padded to the widest cell, two spaces apart; those named are aligned to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** Lines as one text. Whatever stands in a line, it stays one line and steers no terminal. */
export function joined(lines: readonly string[]): string {
  return lines.map(plain).join('\n');
}
