import { printAuthentication, withAuthentication } from './authentication.js';
import { membersOf } from './json-scan.js';
import type { Authentication, RegistryRecord } from './record.js';

/**
 * Stands where a key is to be made. It is what enters the plan's hash, so that the same work has the same hash (design
 * §5). No hub holds such a key: it is no base64 of 16 bytes or more (facts §1.7).
 */
const GENERATED = 'generated';

const sas = (primaryKey: string, secondaryKey: string): Authentication => ({
  type: 'sas',
  primaryKey,
  secondaryKey,
  primaryThumbprint: null,
  secondaryThumbprint: null,
});

const MARKED = sas(GENERATED, GENERATED);
const MARK = printAuthentication(MARKED);

/** The keys of one record: base64 of 32 bytes each. */
export interface Keys {
  readonly primaryKey: string;
  readonly secondaryKey: string;
}

/** A record that is to get new symmetric keys; `which` names the only one of a record that has some. */
export function toGenerate(record: RegistryRecord, which?: keyof Keys): RegistryRecord {
  const { authentication } = record;
  if (which === undefined || authentication === null) return withAuthenticationOf(record, MARKED);
  return withAuthenticationOf(record, { ...authentication, [which]: GENERATED });
}

/** A record with another authentication. */
export function withAuthenticationOf(record: RegistryRecord, authentication: Authentication): RegistryRecord {
  return {
    ...record,
    authentication,
    raw: { ...record.raw, authentication: printAuthentication(authentication) },
  };
}

/** A record with keys in all places that `toGenerate` marked; itself where there are none. */
export function withMadeKeys(record: RegistryRecord, make: () => Keys): RegistryRecord {
  const { authentication } = record;
  if (authentication?.primaryKey !== GENERATED && authentication?.secondaryKey !== GENERATED) return record;
  const made = make();
  const keyOf = (name: keyof Keys): string | null =>
    authentication[name] === GENERATED ? made[name] : authentication[name];
  const keys = { primaryKey: keyOf('primaryKey'), secondaryKey: keyOf('secondaryKey') };
  return withAuthenticationOf(record, { ...authentication, ...keys });
}

/** Whether the keys of a record are still to be made. */
export function isToGenerate(authentication: Authentication | null): boolean {
  return authentication?.primaryKey === GENERATED && authentication.secondaryKey === GENERATED;
}

/** Whether the keys in a desired line are still to be made. */
export function lineIsToGenerate(line: string): boolean {
  // Most lines are told without being looked into.
  return line.includes(MARK) && authenticationIn(line) === MARK;
}

/** A desired line whose keys are to be made, with these instead. */
export function withNewKeys(line: string, primaryKey: string, secondaryKey: string): string {
  return withAuthentication(line, printAuthentication(sas(primaryKey, secondaryKey)));
}

/**
 * A desired line as an update of a record that is there: keys are made on create only, so one that has symmetric keys
 * keeps them.
 */
export function withKeptKeys(line: string, { authentication, raw }: RegistryRecord): string {
  if (authentication?.type !== 'sas' || raw.authentication === null || !lineIsToGenerate(line)) return line;
  return withAuthentication(line, raw.authentication);
}

function authenticationIn(line: string): string | null {
  const member = membersOf(line)?.find(({ name }) => name === 'authentication');
  return member === undefined ? null : line.slice(member.from, member.to);
}
