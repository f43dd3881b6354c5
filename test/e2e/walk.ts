import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startAzurite } from '../../demo/azurite.js';
import { freePort } from '../../worker/port.js';
import { blocks, read } from '../docs/pages.js';
import { until } from '../support/until.js';
import { packedPackage } from './packed.js';

/** What stands in the pages for what only a run can tell: the newest run, plan and snapshot. */
const NEWEST = `hubferry list --json | node -pe 'JSON.parse(require("fs").readFileSync(0)).find(`;
const RUN = `$(${NEWEST}({workflow}) => workflow === "migrate").run')`;
const PLAN = `$(${NEWEST}({workflow}) => workflow === "plan").plan')`;
const PLACEHOLDERS: readonly (readonly [RegExp, string])[] = [
  [/20260801-120000-ab12cd/g, RUN],
  [/9f86d081884c7d65/g, PLAN],
];

/** Waits of milliseconds: everything is on this machine. */
const FAST = `settings:
  { settle: 20ms, heartbeat: 5s, slotWait: 50ms, edgePoll: 50ms, poll: { first: 20ms, max: 200ms }, rates: 1000 }
`;

/** A folder in which a person follows the pages, with the commands as they are written there. */
export interface Walk {
  readonly folder: string;
  /** The blocks of a page that are for a shell, with what only this walk can know in the places of what is written. */
  commands(page: string): string[];
  /** Starts what runs until it is stopped, and waits for a word of it. */
  serve(command: string, ready: string): Promise<void>;
  /** Configures as the quick start does, then makes waits short. */
  configure(block: string): Promise<void>;
  /** Runs lines of a shell to their end. @returns what they printed. @throws Error unless they end with 0 */
  run(text: string): Promise<string>;
  close(): Promise<void>;
}

export async function openWalk(): Promise<Walk> {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-walk-'));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    HUBFERRY_HOME: join(folder, 'home'),
    HUBFERRY_FAST_TIMERS: '1',
    PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
  };
  const children: ReturnType<typeof spawn>[] = [];
  const { main } = await packedPackage();
  mkdirSync(join(folder, 'bin'));
  const shim = join(folder, 'bin', 'hubferry');
  writeFileSync(shim, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  chmodSync(shim, 0o755);
  const azurite = await startAzurite();
  const port = await freePort();
  let exports = '';

  const shell = async (text: string): Promise<string> => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', text], { cwd: folder, env });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (out += String(data)));
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(`exit ${code} of\n${text}\n${out}`);
    return out;
  };

  return {
    folder,
    commands: (page) =>
      blocks(read(page), 'sh').map((block) => {
        const own = block
          .replace('UseDevelopmentStorage=true', azurite.connectionString)
          .replace('hubferry simulator ', `hubferry simulator --port ${port} `);
        return PLACEHOLDERS.reduce((text, [pattern, command]) => text.replace(pattern, () => command), own);
      }),
    serve: async (command, ready) => {
      const child = spawn('bash', ['-c', `exec ${command}`], { cwd: folder, env });
      children.push(child);
      let said = '';
      child.stdout.on('data', (data) => (said += String(data)));
      await until(ready, () => said.includes(ready));
    },
    configure: async (block) => {
      const [, init = '', rest = ''] = /^(hubferry init [^\n]*\n)(.*)$/s.exec(block) ?? [];
      expect(init).not.toBe('');
      exports = rest;
      await shell(init);
      appendFileSync(join(folder, 'hubferry.yaml'), FAST);
    },
    run: async (text) => await shell(`${exports}\n${text}`),
    close: async () => {
      await shell('hubferry down').catch(() => undefined);
      for (const child of children) child.kill('SIGTERM');
      await azurite.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
