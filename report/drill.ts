import type { RunReport } from '../workflows/messages.js';
import { duration } from './format.js';
import { type Html, html } from './html.js';
import { section, table } from './parts.js';
import { missedOf } from './words.js';

/** What a drill has measured, against what it was to reach; null for other runs. */
export function drillPart({ drill, cleaned }: RunReport): Html | null {
  if (drill === undefined) return null;
  const missed = missedOf(drill);
  const names = { rto: 'recovery time, until proven', rpo: 'age of the snapshot' } as const;
  const rows = (['rto', 'rpo'] as const).map((name) => {
    const objective = drill.objectives[name];
    const verdict = objective === null ? 'not declared' : missed.includes(name) ? 'missed' : 'met';
    return [
      names[name],
      duration(drill[name] * 1000),
      objective === null ? '–' : duration(objective * 1000),
      verdict,
    ];
  });
  const stages = Object.entries(drill.stages).map(([phase, seconds]) => [phase, duration(seconds * 1000)]);
  return section(
    'Drill',
    table(
      'objectives',
      [
        { name: 'what' },
        { name: 'measured', number: true },
        { name: 'objective', number: true },
        { name: 'verdict' },
      ],
      rows,
    ),
    table('recovery time by stage', [{ name: 'stage' }, { name: 'time', number: true }], stages),
    cleaned === undefined
      ? null
      : html`<p>The scratch hub is ${cleaned ? 'empty again' : 'not empty: see the warnings'}.</p>`,
  );
}
