import type { Policy } from '../../registry/policy.js';

/** What a policy must make of two registries, without the code under test. */
export function modelOf(
  source: Readonly<Record<string, unknown>>,
  target: Readonly<Record<string, unknown>>,
  { existing, extra }: Policy,
): Record<string, unknown> {
  const expected: Record<string, unknown> = { ...source };
  for (const [key, theirs] of Object.entries(target)) {
    if (Object.hasOwn(source, key)) expected[key] = existing === 'overwrite' ? source[key] : theirs;
    else if (extra === 'keep') expected[key] = theirs;
  }
  return expected;
}
