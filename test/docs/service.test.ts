import { describe, expect, it } from 'vitest';
import { read, section, sources } from './pages.js';

const PAGE = read('docs/service.md');
const HEADINGS = [...PAGE.matchAll(/^#{2,3} (.+)$/gm)].map(([, heading = '']) => heading);

describe('docs/service.md', () => {
  it('has every section that the code refers to by number', () => {
    const numbers = new Set(HEADINGS.flatMap((heading) => /^\d+(?:\.\d+)?/.exec(heading)?.[0] ?? []));
    const lost = sources().flatMap(({ path, text }) => {
      // The simulator knows no other paper; elsewhere a number alone may be one of the design's.
      const references = path.startsWith('simulator/')
        ? text.matchAll(/§(\d+(?:\.\d+)?)/g)
        : [...text.matchAll(/facts ((?:§[\d.]+(?:, | and )?)+)/g)].flatMap(([, list = '']) => [
            ...list.matchAll(/§(\d+(?:\.\d+)?)/g),
          ]);
      return [...references]
        .filter(([, number = '']) => !numbers.has(number))
        .map(([, number]) => `§${number} in ${path}`);
    });
    expect(lost).toEqual([]);
  });

  it('has every section that the code refers to by name', () => {
    const named = sources().flatMap(({ text }) =>
      [...text.matchAll(/service facts[:,] "([^"]+)"/g)].map(([, name = '']) => name),
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !HEADINGS.some((heading) => heading.includes(name)))).toEqual([]);
  });

  it('says of every fact how well it is known, in the words it explains', () => {
    const [, how = ''] = PAGE.split('**How well it is known**');
    const words = [...how.matchAll(/^\| ([*\w’' ]+) \|/gm)].map(([, word = '']) => word.replaceAll('*', ''));
    const known = words.filter((word) => word !== 'word');
    expect(known).toContain('inferred');
    const rows = PAGE.split('## 1. ')[1]?.matchAll(/^\| (?!fact|statement|---)(.+?) \| (.*?) \|/gm) ?? [];
    const silent = [...rows].filter(
      ([row]) => !known.some((word) => row.toLowerCase().includes(word.toLowerCase())),
    );
    expect(silent.map(([row]) => row)).toEqual([]);
  });

  it('names only sources that it lists', () => {
    const [, list = ''] = PAGE.split('**Sources**');
    const names = new Set(
      [...(list.split('## 1. ')[0] ?? '').matchAll(/^\| ([A-Z0-9, ]+) \|/gm)].flatMap(([, cell = '']) =>
        cell.split(', '),
      ),
    );
    const cited = [...PAGE.matchAll(/\((?:[^()]*\b)?([A-Z][A-Z0-9]{2,})\b[^()]*\)/g)].map(
      ([, name = '']) => name,
    );
    const other = new Set(['ISS', 'ARM', 'ID']);
    expect([...new Set(cited)].filter((name) => !names.has(name) && !other.has(name))).toEqual([]);
    expect(section(PAGE, "## 8. Microsoft's own ways")).toContain('az iot hub state');
  });
});
