import type { SearchAttributePair } from '@temporalio/common';
import type { RunReport } from './messages.js';

/** Keyword search attribute that holds a run's RUN. */
const RUN_ATTRIBUTE = 'HubferryRun';

/** Keyword search attributes that say of a run how it stands, for lists of the Temporal UI. */
const STATE_ATTRIBUTES = {
  phase: 'HubferryPhase',
  source: 'HubferrySource',
  target: 'HubferryTarget',
  outcome: 'HubferryOutcome',
} as const;

type State = keyof typeof STATE_ATTRIBUTES;

/** All search attributes of runs: keywords. */
export const ATTRIBUTES: readonly string[] = [RUN_ATTRIBUTE, ...Object.values(STATE_ATTRIBUTES)];

const pair = (name: string, value: string): SearchAttributePair => ({
  key: { name, type: 'KEYWORD' },
  value,
});

/** What of a run's state changes while it goes on, as its workflow tells it. */
export const stateOf = (report: Pick<RunReport, 'phase' | 'outcome'>): SearchAttributePair[] =>
  (['phase', 'outcome'] as const).map((name) => pair(STATE_ATTRIBUTES[name], report[name]));

/** What a run begins with, as whoever starts it tells it. */
export function attributesOf(report: Pick<RunReport, 'run' | State>): SearchAttributePair[] {
  const { run, source, target } = report;
  return [
    pair(RUN_ATTRIBUTE, run),
    ...stateOf(report),
    pair(STATE_ATTRIBUTES.source, source),
    pair(STATE_ATTRIBUTES.target, target ?? ''),
  ];
}
