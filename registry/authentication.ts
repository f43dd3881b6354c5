import { membersOf } from './json-scan.js';
import { type Authentication, type AuthenticationType, isJsonObject, type JsonObject } from './record.js';

const TYPES: { readonly [lowerCase: string]: AuthenticationType } = {
  sas: 'sas',
  selfsigned: 'selfSigned',
  certificateauthority: 'certificateAuthority',
  none: 'none',
};

/**
 * Reads the `authentication` object of a line. Names and the type are taken in any casing: the service itself parses
 * them so, and answers thumbprints as `PrimaryThumbprint` in places (facts §1.3).
 *
 * @returns the authentication and whether the service's usual spelling was used throughout, or null where a member has
 *   the wrong type or the type of authentication is unknown.
 */
export function readAuthentication(value: JsonObject): { read: Authentication; usual: boolean } | null {
  const names = new Spelling();
  const symmetricKey = names.object(value, 'symmetricKey');
  const x509Thumbprint = names.object(value, 'x509Thumbprint');
  if (symmetricKey === undefined || x509Thumbprint === undefined) return null;
  const primaryKey = names.text(symmetricKey, 'primaryKey');
  const secondaryKey = names.text(symmetricKey, 'secondaryKey');
  const primaryThumbprint = names.text(x509Thumbprint, 'primaryThumbprint');
  const secondaryThumbprint = names.text(x509Thumbprint, 'secondaryThumbprint');
  const written = names.text(value, 'type');
  if (
    primaryKey === undefined ||
    secondaryKey === undefined ||
    primaryThumbprint === undefined ||
    secondaryThumbprint === undefined ||
    written === undefined
  ) {
    return null;
  }
  // Without a type the service's clients go by what is there, and `sas` is the service's default (facts §1.8, §2.2).
  const hasThumbprint = primaryThumbprint !== null || secondaryThumbprint !== null;
  const name = (written ?? (hasThumbprint ? 'selfSigned' : 'sas')).toLowerCase();
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined) return null;
  return {
    read: { type, primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint },
    usual: names.usual && written === type,
  };
}

/** The text of an authentication in the service's own member order and spelling (facts §2.1). */
export function printAuthentication(authentication: Authentication): string {
  const { type, primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint } = authentication;
  return JSON.stringify({
    symmetricKey: { primaryKey, secondaryKey },
    x509Thumbprint: { primaryThumbprint, secondaryThumbprint },
    type,
  });
}

/** A line with this text for its authentication, whatever stood there before. All else stays byte for byte. */
export function withAuthentication(line: string, authentication: string): string {
  const found = membersOf(line)?.find(({ name }) => name === 'authentication');
  if (found !== undefined) return line.slice(0, found.from) + authentication + line.slice(found.to);
  const end = line.lastIndexOf('}');
  return `${line.slice(0, end)},"authentication":${authentication}${line.slice(end)}`;
}

/** Looks members up in any casing, and remembers whether the usual one was met throughout. */
class Spelling {
  usual = true;

  /** The named object, `{}` for null or absent, undefined for anything else. */
  object(from: JsonObject, name: string): JsonObject | undefined {
    const value = this.#member(from, name);
    if (value === null) return {};
    return isJsonObject(value) ? value : undefined;
  }

  /** The named text, null for null, absent or empty, undefined for anything else. */
  text(from: JsonObject, name: string): string | null | undefined {
    const value = this.#member(from, name);
    if (value === null || value === '') return null;
    return typeof value === 'string' ? value : undefined;
  }

  #member(from: JsonObject, name: string): unknown {
    if (Object.hasOwn(from, name)) return from[name];
    const lowerCase = name.toLowerCase();
    for (const other of Object.keys(from)) {
      if (other.toLowerCase() !== lowerCase) continue;
      this.usual = false;
      return from[other];
    }
    return null;
  }
}
