import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { METRICS, type MetricInfo } from '../../registry/metrics.js';
import { blocks, read, section, sources } from './pages.js';

const PAGE = read('docs/telemetry.md');
const shownAs = (name: string, { kind }: MetricInfo): string => (kind === 'counter' ? `${name}_total` : name);
const words = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);

describe('docs/telemetry.md', () => {
  it('lists every metric that the code registers, with its labels', () => {
    const rows = [...section(PAGE, '## Metrics').matchAll(/^\| `(hubferry_\w+)` \| ([^|]*) \|/gm)];
    const told = rows.map(([, name = '', labels = '']) => [name, words(labels)]);
    const known = Object.entries<MetricInfo>(METRICS).map(([name, info]) => [
      shownAs(name, info),
      [...info.labels],
    ]);
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(known));
  });

  it('has nothing but listed metrics registered', () => {
    const used = sources(['workflows', 'activities', 'worker', 'client', 'azure']).flatMap(({ text }) =>
      [...text.matchAll(/'(hubferry_\w+)'/g)].map(([, name = '']) => name),
    );
    expect([...new Set(used)].toSorted()).toEqual(Object.keys(METRICS).toSorted());
    const direct = sources().filter(({ text }) => /\.create(?:Counter|Histogram|Gauge)\(/.test(text));
    expect(direct.map(({ path }) => path)).toEqual(['registry/metrics.ts']);
  });

  it('lists every line that workflows log, with its fields', () => {
    const logged = sources(['workflows']).flatMap(({ text }) =>
      [...text.matchAll(/(?:log\.info|#log)\('([^']+)'/g)].map(([, line = '']) => line),
    );
    const rows = [...section(PAGE, '## Logs').matchAll(/^\| `([a-z]+ [a-z]+)` \|/gm)];
    const told = rows.map(([, line = '']) => line);
    expect(told.toSorted()).toEqual([...new Set(logged)].toSorted());
  });

  it('shows rules and a scrape configuration about metrics that there are', () => {
    const [setting, scrape, rules] = blocks(PAGE, 'yaml').map((block): unknown => parseYaml(block));
    expect(setting).toEqual({ settings: { metricsPort: 9464 } });
    expect(scrape).toHaveProperty('scrape_configs');
    expect(rules).toHaveProperty('groups');
    const known = new Set(Object.entries<MetricInfo>(METRICS).map(([name, info]) => shownAs(name, info)));
    const named = blocks(PAGE, 'yaml')[2]?.matchAll(/hubferry_\w+/g) ?? [];
    expect([...named].map(([name]) => name).filter((name) => !known.has(name))).toEqual([]);
  });
});
