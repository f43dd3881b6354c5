import type { Prng } from '../prng.js';
import type { HubSettings } from '../settings.js';

/**
 * Hands out the lines of an import in the order in which the hub takes them (§3). All but `asWritten` keep lines in
 * memory: those of modules, or all.
 */
export function inOrder(
  lines: AsyncIterable<string>,
  order: HubSettings['importOrder'],
  random: Prng,
): AsyncIterable<string> {
  return order === 'asWritten' ? lines : reordered(lines, order, random);
}

async function* reordered(
  lines: AsyncIterable<string>,
  order: 'devicesFirst' | 'shuffled',
  random: Prng,
): AsyncIterable<string> {
  const later: string[] = [];
  for await (const line of lines) {
    if (order === 'devicesFirst' && !isModuleLine(line)) yield line;
    else later.push(line);
  }
  if (order === 'shuffled') shuffle(later, random);
  yield* later;
}

function isModuleLine(line: string): boolean {
  if (!line.includes('moduleId')) return false;
  try {
    const { moduleId } = JSON.parse(line) as { moduleId?: unknown };
    return typeof moduleId === 'string' && moduleId !== '';
  } catch {
    return false;
  }
}

/** Fisher and Yates. */
function shuffle(items: string[], random: Prng): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j] ?? '', items[i] ?? ''];
  }
}
