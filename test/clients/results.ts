/** One operation of a client, as its script reported it. */
export interface OperationResult {
  readonly name: string;
  /** Why it failed; undefined: it did not. */
  readonly why: string | undefined;
}

/** What came of one client. */
export interface ClientResult {
  readonly client: string;
  readonly versions: string;
  readonly operations: readonly OperationResult[];
  readonly seconds: number;
}

/** The least that a client's script must do to count as one. */
const fewestOperations = 30;

/**
 * Reads a script's output: `1..N` first, then `ok NAME` or `not ok NAME: WHY` for each operation. Whatever else is
 * wrong becomes a failed operation too, so that a script which dies half-way cannot pass.
 */
export function readResults(lines: readonly string[], exitCode: number | null): OperationResult[] {
  const operations: OperationResult[] = [];
  let planned: number | undefined;
  for (const line of lines) {
    const plan = /^1\.\.(\d+)$/.exec(line)?.[1];
    const passed = /^ok (.+)$/.exec(line)?.[1];
    const failed = /^not ok (.+)$/.exec(line)?.[1];
    if (plan !== undefined) planned = Number(plan);
    else if (passed !== undefined) operations.push({ name: passed, why: undefined });
    else if (failed !== undefined) operations.push(failure(failed));
  }
  const done = operations.length;
  const failures = operations.filter(({ why }) => why !== undefined).length;
  const lost: OperationResult[] = [];
  if (planned !== undefined && done !== planned) {
    lost.push({ name: '(plan)', why: `${done} of ${planned} operations reported` });
  }
  if (planned === undefined || planned < fewestOperations) {
    const count = planned ?? 'no';
    lost.push({ name: '(plan)', why: `${count} operations planned, at least ${fewestOperations} expected` });
  }
  if (exitCode !== (failures === 0 ? 0 : 1)) {
    lost.push({ name: '(script)', why: `exit code ${exitCode} with ${failures} failed operations` });
  }
  return [...operations, ...lost];
}

function failure(text: string): OperationResult {
  const split = /^(.+?): (.*)$/.exec(text);
  return { name: split?.[1] ?? text, why: split?.[2] ?? 'no reason given' };
}

/** A client that could not even be started: counted as one failed operation. */
export function notStarted(client: string, error: unknown): ClientResult {
  const why = error instanceof Error ? error.message : String(error);
  return { client, versions: '', operations: [{ name: '(install)', why }], seconds: 0 };
}

/** A table of counts, then every failure with its reason. */
export function report(results: readonly ClientResult[]): string {
  const rows = [
    ['client', 'versions', 'operations', 'passed', 'failed', 'seconds'],
    ...results.map(({ client, versions, operations, seconds }) => {
      const failed = operations.filter(({ why }) => why !== undefined).length;
      const { length } = operations;
      return [client, versions, `${length}`, `${length - failed}`, `${failed}`, seconds.toFixed(1)];
    }),
  ];
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  for (const { client, operations } of results) {
    for (const { name, why } of operations) {
      if (why !== undefined) lines.push('', `${client}: ${name}`, `  ${why.replaceAll('\n', '\n  ')}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** True when every operation of every client passed. */
export function allPassed(results: readonly ClientResult[]): boolean {
  return results.every(({ operations }) => operations.every(({ why }) => why === undefined));
}
