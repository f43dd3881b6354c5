/**
 * How many records went where in a run (design §6). What was read from the source:
 * `source = system + filtered + refused + desired`; what the plan made of it:
 * `desired = unchanged + kept + create + update`; what became of the plan:
 * `create + update + delete = applied + rejected + uncertain + unsent`.
 */
export interface Ledger {
  source: number;
  system: number;
  filtered: number;
  refused: number;
  desired: number;
  unchanged: number;
  kept: number;
  create: number;
  update: number;
  delete: number;
  applied: number;
  rejected: number;
  uncertain: number;
  unsent: number;
}

/** The ledger of what a registry holds beside its records (system modules, configurations), in the same form. */
export type PartLedger = Ledger;

/** How many records the verification saw, and how they compare. */
export interface VerifyCounts {
  compared: number;
  match: number;
  kept: number;
  different: number;
  missing: number;
  /** On the target only; in no equation. */
  extra: number;
}

export function emptyLedger(): Ledger {
  return {
    source: 0,
    system: 0,
    filtered: 0,
    refused: 0,
    desired: 0,
    unchanged: 0,
    kept: 0,
    create: 0,
    update: 0,
    delete: 0,
    applied: 0,
    rejected: 0,
    uncertain: 0,
    unsent: 0,
  };
}

/** The equations of the ledger that do not hold, as sentences; empty where it balances. */
export function imbalances(ledger: Ledger): string[] {
  return [
    ...impossible(ledger),
    ...unequal(ledger, ['source'], ['system', 'filtered', 'refused', 'desired']),
    ...unequal(ledger, ['desired'], ['unchanged', 'kept', 'create', 'update']),
    ...unequal(ledger, ['create', 'update', 'delete'], ['applied', 'rejected', 'uncertain', 'unsent']),
  ];
}

/** The equations between ledger and verification that do not hold, as sentences. */
export function verifyImbalances(ledger: Ledger, verify: VerifyCounts): string[] {
  const { desired } = ledger;
  return [
    ...impossible(verify),
    ...unequal({ ...verify, desired }, ['desired'], ['match', 'kept', 'different', 'missing']),
    ...unequal(verify, ['compared'], ['match', 'kept', 'different', 'missing']),
  ];
}

/** Counts that no counting can give: a bug that sums may hide. */
function impossible(counts: Ledger | VerifyCounts): string[] {
  return Object.entries(counts)
    .filter(([, count]) => !Number.isSafeInteger(count) || count < 0)
    .map(([name, count]) => `${name} is ${count}, which is no count.`);
}

function unequal<Name extends string>(
  counts: Readonly<Record<Name, number>>,
  left: readonly Name[],
  right: readonly Name[],
): string[] {
  const sum = (names: readonly Name[]): number => names.reduce((total, name) => total + counts[name], 0);
  const said = (names: readonly Name[]): string =>
    names.map((name) => `${name} (${counts[name]})`).join(' + ');
  return sum(left) === sum(right) ? [] : [`${said(left)} is not ${said(right)}.`];
}
