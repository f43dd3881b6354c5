import { array, assert, integer, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  duration,
  estimate,
  fold,
  joined,
  plain,
  plainJson,
  shellQuote,
  table,
  typed,
  widthOf,
} from '../../client/text.js';
import { parseDuration } from '../../config/duration.js';

describe('times', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [999.6, '1.0 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 0 s'],
    [3_599_400, '59 min 59 s'],
    [3_599_600, '1 h 0 min'],
    [12 * 3_600_000 + 90_000, '12 h 2 min'],
  ])('%i ms is %s', (ms, said) => expect(duration(ms)).toBe(said));

  it.each([
    [1, '1 s'],
    [41_600, '42 s'],
    [245_000, '4 min 5 s'],
  ])('an estimate of %i ms is %s', (ms, said) => expect(estimate(ms)).toBe(said));

  it.each(['1ms', '1500ms', '90s', '30m', '24h', '7d'])('%s is shown as it was typed', (text) =>
    expect(typed(parseDuration(text))).toBe(text),
  );
});

describe('fold', () => {
  it('breaks at spaces and indents what follows', () => {
    expect(fold('  one two three four', 12)).toEqual(['  one two', '    three', '    four']);
  });

  it('leaves a word that is wider than the screen whole', () => {
    expect(fold('see aaaaaaaaaaaaaaaaaaaa now', 10)).toEqual(['see', '  aaaaaaaaaaaaaaaaaaaa', '  now']);
  });

  it('loses no word, and keeps within the width wherever words allow it', () => {
    const word = string({ minLength: 1, maxLength: 9 }).map((text) => text.replaceAll(/\s/g, 'x'));
    assert(
      property(
        array(word, { minLength: 1, maxLength: 40 }),
        integer({ min: 14, max: 80 }),
        (words, width) => {
          const lines = fold(words.join(' '), width);
          expect(lines.flatMap((line) => line.trim().split(' '))).toEqual(words);
          expect(lines.filter((line) => line.length > width)).toEqual([]);
        },
      ),
    );
  });
});

describe('plain', () => {
  it('shows control characters instead of obeying them, and leaves other scripts alone', () => {
    expect(plain('a\u001b[2Jb\u0007\r\n\u009bé東')).toBe('a\\x1b[2Jb\\x07\\x0d\\x0a\\x9bé東');
    expect(plain('שלום\u202egnp.exe\u2066')).toBe('שלום\\u202egnp.exe\\u2066');
  });
});

describe('shellQuote', () => {
  it.each([
    ['conf/hub-ferry.yaml', 'conf/hub-ferry.yaml'],
    ['my hubs.yaml', "'my hubs.yaml'"],
    ["it's", "'it'\\''s'"],
  ])('%s is written %s', (word, quoted) => expect(shellQuote(word)).toBe(quoted));
});

describe('table', () => {
  it('pads columns, and aligns those named to the right', () => {
    expect(
      table(
        [
          ['a', 'count'],
          ['long name', '7'],
        ],
        [1],
      ),
    ).toEqual(['a          count', 'long name      7']);
  });
});

describe('widthOf', () => {
  it('is a terminal’s, and endless elsewhere', () => {
    expect(widthOf({ isTTY: true, columns: 40 })).toBe(40);
    expect(widthOf({ isTTY: true })).toBe(80);
    expect(widthOf({})).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('what steers', () => {
  const texts = array(string({ unit: 'binary', maxLength: 8 }), { maxLength: 4 });
  const steers = (text: string): boolean => text.split('\n').some((line) => plain(line) !== line);

  it('is escaped in JSON, which says the same', () =>
    assert(
      property(texts, (words) => {
        const text = plainJson(JSON.stringify(words, null, 2));
        expect(JSON.parse(text)).toEqual(words);
        expect(steers(text)).toBe(false);
      }),
      { seed: 1, numRuns: 300 },
    ));

  it('leaves no line of a text, and makes none', () =>
    assert(
      property(texts, (lines) => {
        const text = joined(lines);
        expect(steers(text)).toBe(false);
        expect(text.split('\n')).toHaveLength(Math.max(1, lines.length));
      }),
      { seed: 2, numRuns: 300 },
    ));
});
