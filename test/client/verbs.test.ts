import { describe, expect, it } from 'vitest';
import { VERBS } from '../../client/verbs.js';

describe.each(VERBS.map((make) => make()).map((verb) => [verb.name(), verb] as const))('%s', (_, verb) => {
  it('has a summary in lower case without full stop, and a description in sentences', () => {
    expect(verb.summary()).toMatch(/^[a-z].*[^.]$/);
    expect(verb.description()).toMatch(/^[A-Z][\s\S]*\.$/);
  });
});
