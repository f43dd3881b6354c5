import { describe, expect, it } from 'vitest';
import { VERBS } from '../../client/verbs.js';

const verbs = VERBS.map((make) => make());
const all = verbs.flatMap((verb) => [
  [verb.name(), verb] as const,
  ...verb.commands.map((part) => [`${verb.name()} ${part.name()}`, part] as const),
]);

describe.each(all)('%s', (_, verb) => {
  it('has a summary in lower case without full stop, and a description in sentences', () => {
    expect(verb.summary()).toMatch(/^[a-z].*[^.]$/);
    expect(verb.description()).toMatch(/^[A-Z][\s\S]*\.$/);
  });
});
