import { describe, expect, it } from 'vitest';
import { optionName, simulatorCommand } from '../../client/simulator.js';
import { router } from '../../simulator/routes/index.js';
import { type Setting, type SettingGroup, settingTable } from '../../simulator/settings.js';
import { read, section } from './pages.js';

const PAGE = read('docs/simulator.md');
const SETTINGS = Object.entries<Setting>(settingTable);

/** A setting as the page's tables show it. */
function row(name: string, setting: Setting): string {
  const values =
    setting.kind === 'choice'
      ? setting.choices.map((one, i) => (i === 0 ? `**${one}**` : one)).join(', ')
      : setting.kind === 'flag'
        ? setting.initial
          ? '**on**, off'
          : '**off**, on'
        : `**${setting.initial}** ${setting.unit}`;
  return `| \`--${optionName(name)}\` | ${values} | ${setting.about} | ${setting.known} |`;
}

/** The rows of the table below a heading. */
function rows(heading: string): string[] {
  return section(PAGE, heading)
    .split('\n')
    .filter((line) => line.startsWith('| `'));
}

describe('docs/simulator.md', () => {
  const groups = [...new Set(SETTINGS.map(([, { group }]) => group))];

  it.each(groups)('lists every setting of %s, with its default and what is known', (group: SettingGroup) => {
    const wanted = SETTINGS.filter(([, setting]) => setting.group === group).map((one) => row(...one));
    expect(rows(`### ${group}`)).toEqual(wanted);
  });

  it('lists every route with what it demands', () => {
    const served = router.routes.map(({ name, access, operation }) => {
      const rights =
        typeof access.rights === 'string'
          ? 'see `--' + optionName(access.rights) + '`'
          : access.rights.join(', ');
      return `| \`${name}\` | ${rights} | ${access.actions.join(', ')} | ${operation} |`;
    });
    expect(rows('## What is served')).toEqual(served);
  });
});

describe('hubferry simulator --help', () => {
  it('lists every setting as an option that takes its values', () => {
    const options = simulatorCommand().options;
    for (const [name, setting] of SETTINGS) {
      const option = options.find(({ long }) => long === `--${optionName(name)}`);
      const text = option?.description ?? '';
      expect(text.startsWith(setting.about), name).toBe(true);
      if (setting.kind === 'choice') for (const one of setting.choices) expect(text).toContain(one);
      expect(option?.attributeName(), name).toBe(name);
    }
  });
});
