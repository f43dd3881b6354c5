import { HubferryError } from './errors.js';
import { type Member, membersOf } from './json-scan.js';
import { isJsonObject } from './record.js';

/** The names on the way to a value in tags or desired properties, from the top; at least one. */
export type TwinPath = readonly [string, ...string[]];

/** A path as people write it: names of a twin hold no dots (facts §5). */
export function twinPath(text: string): TwinPath {
  const [first = '', ...rest] = text.split('.');
  return [first, ...rest];
}

/**
 * What stands at a path: `undefined` for nothing.
 *
 * @returns `blocked` where something that is no object stands in the way.
 */
export function valueAt(
  section: unknown,
  [name, ...rest]: TwinPath,
): { readonly value: unknown; readonly blocked: boolean } {
  if (!isJsonObject(section)) return { value: undefined, blocked: section !== undefined };
  const value = Object.hasOwn(section, name) ? section[name] : undefined;
  const [next, ...others] = rest;
  return next === undefined ? { value, blocked: false } : valueAt(value, [next, ...others]);
}

/**
 * The text of an object with another value at a path; all else stays byte for byte, so that no number changes its
 * spelling. Objects that are missing on the way are made.
 *
 * @param value as JSON text
 * @throws HubferryError INTERNAL where something that is no object stands in the way: `valueAt` tells beforehand.
 */
export function setAt(text: string, [name, ...rest]: TwinPath, value: string): string {
  const members = objectMembers(text);
  const old = members.findLast((member) => member.name === name);
  const [next, ...others] = rest;
  const inner = old === undefined ? '{}' : text.slice(old.from, old.to);
  const fresh = next === undefined ? value : setAt(inner, [next, ...others], value);
  const parts = members.flatMap((member) => {
    if (member === old) return [text.slice(member.at, member.from) + fresh];
    // Of members of one name the last one counts: the others must not come to light.
    return member.name === name ? [] : [text.slice(member.at, member.to)];
  });
  if (old === undefined) parts.push(`${JSON.stringify(name)}:${fresh}`);
  return `{${parts.join(',')}}`;
}

/** The text of an object without what stands at a path; all else stays byte for byte. */
export function removeAt(text: string, [name, ...rest]: TwinPath): string {
  const members = objectMembers(text);
  const old = members.findLast((member) => member.name === name);
  if (old === undefined) return text;
  const [next, ...others] = rest;
  const parts = members.flatMap((member) => {
    if (member.name !== name) return [text.slice(member.at, member.to)];
    if (next === undefined || member !== old) return [];
    return [
      text.slice(member.at, member.from) + removeAt(text.slice(member.from, member.to), [next, ...others]),
    ];
  });
  return `{${parts.join(',')}}`;
}

function objectMembers(text: string): Member[] {
  const members = membersOf(text);
  if (members === null) throw new HubferryError('INTERNAL', 'A part of a twin to be edited is no object.');
  return members;
}
