import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { SCENARIOS } from './support/history-scenarios.js';
import { startServices } from './support/services.js';
import { openTestStand } from './support/stand.js';

/**
 * Records the histories that test/replay replays: `npm run record-histories`, or with the names of scenarios after `--`
 * only those. Run it when a version is released or a scenario is added; a history of a released version is never
 * recorded again, since runs that it stands for may still be open somewhere.
 */
const FOLDER = fileURLToPath(new URL('./histories', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Compact, and without this machine's paths in stack traces. */
function portable(history: string): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  return JSON.stringify(JSON.parse(history.replaceAll(root, '')));
}

const asked = process.argv.slice(2);
const started = await startServices();
try {
  for (const [name, { hubs, hubSettings, play }] of Object.entries(SCENARIOS)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const stand = await openTestStand(started.services, hubs, hubSettings);
    try {
      for (const [workflow, handle] of Object.entries(await play(stand))) {
        mkdirSync(join(FOLDER, workflow), { recursive: true });
        const file = join(FOLDER, workflow, `${version}-${name.replace(/[^a-z]+/g, '-')}.json`);
        rmSync(file, { force: true });
        writeFileSync(file, `${portable(historyToJSON(await handle.fetchHistory()))}\n`);
        process.stdout.write(`${file}\n`);
      }
    } finally {
      await stand.close();
    }
  }
} finally {
  await started.stop();
}
