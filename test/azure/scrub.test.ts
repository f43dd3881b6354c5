import { randomBytes } from 'node:crypto';
import { assert, constantFrom, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scrub } from '../../azure/scrub.js';

describe('scrub', () => {
  it('takes out every key that a hub knows, however it stands there', () => {
    const key = integer({ min: 16, max: 64 }).map((bytes) => randomBytes(bytes).toString('base64'));
    const around = constantFrom<(text: string) => string>(
      (text) => `HostName=a;SharedAccessKeyName=p;SharedAccessKey=${text};x`,
      (text) => `AccountName=a;AccountKey=${text}`,
      (text) => `https://a/c?sv=1&sig=${encodeURIComponent(text)}&se=1`,
      (text) => `SharedAccessSignature sr=a&sig=${encodeURIComponent(text)}&se=1&skn=p`,
      (text) => `{"primaryKey":"${text}","secondaryKey": "${text}"}`,
      (text) => JSON.stringify({ Message: JSON.stringify({ primaryKey: text }) }),
    );
    assert(
      property(key, around, (text, wrap) => {
        const said = scrub(wrap(text));
        expect(said).not.toContain(text.slice(0, 12));
        expect(said).not.toContain(encodeURIComponent(text).slice(0, 12));
      }),
      { numRuns: 500 },
    );
  });

  it('takes out keys that stand alone, and leaves words alone', () => {
    const key = randomBytes(32).toString('base64');
    expect(scrub(`the key ${key} is bad`)).toBe('the key *** is bad');
    expect(scrub(`the key ${encodeURIComponent(key)} is bad`)).not.toContain(key.slice(0, 8));
    const words =
      'Tracking ID:0123456789abcdef0123456789abcdef-G:1 of device pump-0001-north-hall-of-the-factory';
    expect(scrub(words)).toBe(words);
  });

  it('keeps a message on one line, without control characters, and short', () => {
    expect(scrub('a\r\nb\u001b[31mc\u0000')).toBe('a b [31mc');
    expect(scrub('word '.repeat(1_000)).length).toBeLessThanOrEqual(401);
  });
});
