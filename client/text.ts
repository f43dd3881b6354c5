/** 12345 → "12,345". */
export function count(number: number): string {
  return number.toLocaleString('en-US');
}

/** ms → "840 ms", "12.3 s", "4 min 5 s", "3 h 12 min". */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** An estimate in ms, in whole seconds: "1 s", "42 s", "4 min 5 s". */
export function estimate(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1000);
}

// oxlint-disable-next-line no-control-regex -- they are what is taken out
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** A name from a registry as it may be shown on a terminal: control characters are escaped. */
export function plain(name: string): string {
  return name.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

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
