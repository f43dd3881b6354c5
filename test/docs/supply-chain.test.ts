import { describe, expect, it } from 'vitest';
import { read } from './pages.js';

interface Entry {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Entry> };
const manifest = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  allowScripts: Record<string, boolean>;
};
/** All packages but the project itself, those for other platforms included. */
const entries = Object.entries(packages).filter(([path]) => path !== '');
const nameOf = (path: string): string => path.split('node_modules/').at(-1) ?? path;

describe('the lockfile', () => {
  it('has a strong hash of every package, and names no place to load it from', () => {
    expect(entries.length).toBeGreaterThan(100);
    const wrong = entries.filter(
      ([, { integrity, resolved, link }]) =>
        link === true || resolved !== undefined || !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
    );
    expect(wrong.map(([path]) => path)).toEqual([]);
  });

  it('has the exact versions that package.json names', () => {
    const direct = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    const wrong = direct.filter(([name, version]) => packages[`node_modules/${name}`]?.version !== version);
    expect(wrong).toEqual([]);
  });
});

describe('install scripts', () => {
  it('are refused by name for every package that has one', () => {
    const scripted = entries
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => nameOf(path));
    expect(new Set(scripted)).toEqual(new Set(Object.keys(manifest.allowScripts)));
    expect(Object.values(manifest.allowScripts)).toEqual(Object.keys(manifest.allowScripts).map(() => false));
  });

  it('are none of ours', () => {
    const names = Object.keys(manifest.scripts);
    expect(names.filter((name) => /^(?:pre|post)?install$|^prepare$|^prepublish$/.test(name))).toEqual([]);
  });
});
