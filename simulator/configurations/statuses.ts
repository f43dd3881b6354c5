import { type JsonObject, setKey } from '../json.js';

/** What a configuration is to a twin: it targets it, or its content was written to it, too. */
export type Status = 'Targeted' | 'Applied';

/** By configuration id. */
export type Statuses = ReadonlyMap<string, Status>;

/** Many twins have the same statuses: each text is kept once. */
const mostTexts = 10_000;
const textsByText = new Map<string, string>();
const statusesByText = new Map<string, Statuses>();

/** `configurations` of a twin as JSON text; equal statuses give the same text, whatever their order was. */
export function statusesText(statuses: Statuses): string {
  const json: JsonObject = {};
  for (const id of [...statuses.keys()].toSorted()) {
    const status = statuses.get(id);
    if (status !== undefined) setKey(json, id, { status });
  }
  const text = JSON.stringify(json);
  if (text === '{}') return '{}';
  const kept = textsByText.get(text);
  if (kept !== undefined) return kept;
  if (textsByText.size >= mostTexts) textsByText.clear();
  textsByText.set(text, text);
  return text;
}

/** Reads {@link statusesText}; what a loaded twin has that is no status is left out. */
export function statusesOf(text: string): Statuses {
  const known = statusesByText.get(text);
  if (known !== undefined) return known;
  const statuses = new Map<string, Status>();
  for (const [id, entry] of Object.entries(JSON.parse(text) as Record<string, { status?: unknown } | null>)) {
    const status = entry?.status;
    if (status === 'Targeted' || status === 'Applied') statuses.set(id, status);
  }
  if (statusesByText.size >= mostTexts) statusesByText.clear();
  statusesByText.set(text, statuses);
  return statuses;
}

/** Ids of the configurations that were applied. */
export function appliedIds(statuses: Statuses): Set<string> {
  return new Set([...statuses].flatMap(([id, status]) => (status === 'Applied' ? [id] : [])));
}
