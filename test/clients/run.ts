import type { Client } from './client.js';
import { run } from './commands.js';
import { java } from './java.js';
import { python } from './python.js';
import { allPassed, type ClientResult, notStarted, readResults, report } from './results.js';
import { startClientStand } from './stand.js';

/**
 * Runs the clients of others against the simulator: `npm run test:clients`, or with names (`python`, `java`) only
 * those. Installs what they need into a cache on first use. Exits 1 when an operation failed or a client could not
 * be installed.
 */
const clients: readonly Client[] = [python, java];

/** Milliseconds after which a script is taken to hang. */
const longest = 300_000;

const wanted = process.argv.slice(2).map((name) => name.toLowerCase());
const unknown = wanted.filter((name) => !clients.some((client) => client.name.toLowerCase() === name));
if (unknown.length > 0) throw new Error(`there is no client ${unknown.join(', ')}`);

const results: ClientResult[] = [];
for (const client of clients) {
  if (wanted.length > 0 && !wanted.includes(client.name.toLowerCase())) continue;
  results.push(await tryClient(client).catch((error: unknown) => notStarted(client.name, error)));
}
process.stdout.write(`\n${report(results)}`);
process.exitCode = allPassed(results) ? 0 : 1;

async function tryClient(client: Client): Promise<ClientResult> {
  process.stdout.write(`# ${client.name}\n`);
  const installed = await client.install();
  process.stdout.write(`# ${installed.versions} (${installed.reused ? 'from the cache' : 'installed'})\n`);
  const stand = await startClientStand();
  try {
    const { command, args, env } = await installed.script(stand);
    const began = performance.now();
    const lines: string[] = [];
    const ended = await run(command, args, {
      // What runs here is on this machine; a proxy would not find it.
      env: { ...process.env, ...env, NO_PROXY: 'localhost,127.0.0.1', no_proxy: 'localhost,127.0.0.1' },
      timeout: longest,
      onLine: (line) => {
        lines.push(line);
        process.stdout.write(`${line}\n`);
      },
    });
    if (ended.stderr !== '') process.stderr.write(ended.stderr);
    return {
      client: client.name,
      versions: installed.versions,
      operations: readResults(lines, ended.code),
      seconds: (performance.now() - began) / 1000,
    };
  } finally {
    await stand.close();
  }
}
