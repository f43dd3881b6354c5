import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SimulatorAdmin } from '../../simulator/index.js';
import { compiledCommand } from '../support/compiled.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hubferry-command-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(...args: string[]) {
  const [node, ...main] = compiledCommand('client/main');
  const command = [...main, 'simulator', '--ca-dir', path.join(folder, 'ca'), ...args];
  return spawn(node, command, { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Starts, waits for the last line, ends it with a signal. @returns what it said. */
async function session(
  signal: 'SIGINT' | 'SIGTERM',
  args: string[],
  during?: (said: string) => Promise<void>,
) {
  const child = start(...args);
  const exited = once(child, 'exit');
  let said = '';
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (!said.endsWith('ready\n')) continue;
    await during?.(said);
    break;
  }
  child.kill(signal);
  return { said, exit: ((await exited) as [number | null])[0] };
}

async function refusal(...args: string[]) {
  const child = start(...args);
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number]>]);
  return { said, code };
}

describe('hubferry simulator', () => {
  it('serves hubs until a signal, with the same keys for the same seed', async () => {
    const args = [
      '--hub',
      'old',
      '--hub',
      'New',
      '--port',
      '0',
      '--seed',
      '3',
      '--fleet',
      'old=40',
      '--admin-port',
      '0',
    ];
    const first = await session('SIGTERM', args, async (said) => {
      const port = Number(/^admin: http:\/\/127\.0\.0\.1:(\d+)$/m.exec(said)?.[1]);
      const records = [];
      for await (const record of new SimulatorAdmin(port).hub('old').dump()) records.push(record);
      expect(records.filter((record) => record.moduleId?.startsWith('$') !== true)).toHaveLength(40);
    });
    expect(first.exit).toBe(0);
    expect(first.said).toMatch(
      /^hub old: HostName=old\.localhost:\d+;SharedAccessKeyName=iothubowner;SharedAccessKey=/m,
    );
    expect(first.said).toMatch(/^hub new: HostName=new\.localhost:/m);
    expect(first.said).toContain(`export NODE_EXTRA_CA_CERTS=${path.join(folder, 'ca', 'ca.pem')}\n`);
    const second = await session('SIGINT', args);
    expect(second.exit).toBe(0);
    const keys = (said: string) => said.match(/SharedAccessKey=\S+/g);
    expect(keys(second.said)).toEqual(keys(first.said));
  });

  it('can write the connection strings to a private file instead', async () => {
    const file = path.join(folder, 'keys');
    writeFileSync(file, 'older', { mode: 0o644 });
    const { said } = await session('SIGTERM', ['--hub', 'a', '--port', '0', '--own-ports', '--keys', file]);
    expect(said).not.toContain('SharedAccessKey=');
    expect(readFileSync(file, 'utf8')).toMatch(
      /^a: "HostName=localhost:\d+;SharedAccessKeyName=iothubowner;SharedAccessKey=\S+"\n$/,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('says which option is wrong', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const address = blocker.address();
    const taken = String(typeof address === 'object' ? address?.port : 0);
    const wrong: [string[], RegExp][] = [
      [[], /--hub is missing/],
      [['--hub', 'a', '--port', '70000'], /'--port <port>' argument '70000' is invalid/],
      [['--hub', 'a', '--port', taken], new RegExp(`port ${taken} is in use`)],
    ];
    const answers = await Promise.all(wrong.map(([args]) => refusal(...args)));
    blocker.close();
    for (const [n, { said, code }] of answers.entries()) {
      expect.soft(said).toMatch(wrong[n]?.[1] ?? /never/);
      expect.soft(code).toBe(2);
    }
  });
});
