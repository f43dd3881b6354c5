import { readFileSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ERRORS, HubferryError } from '../../registry/errors.js';
import { ensureEmbedded, stopEmbedded } from '../../worker/embedded.js';
import { readLock } from '../../worker/lock.js';
import { until } from '../support/until.js';
import { allGone, EmbeddedStand, isGone } from '../worker/fixtures/embedded-stand.js';

let stand: EmbeddedStand;
beforeEach(() => {
  stand = new EmbeddedStand();
});
afterEach(async () => {
  await stand.remove();
});

async function refusal(config: { path: string; hash: string }, change: object = {}): Promise<HubferryError> {
  const thrown = await ensureEmbedded(config, { ...stand.options, ...change }).catch(
    (error: unknown) => error,
  );
  if (!(thrown instanceof HubferryError)) throw new Error('it was accepted', { cause: thrown });
  expect(thrown.code).toBe('OTHER_CONFIGURATION');
  expect(ERRORS[thrown.code].exit).toBe(2);
  return thrown;
}

test('another configuration or version replaces an idle one, and is refused while a run is open', async () => {
  const first = await stand.start();
  const second = await stand.start(stand.other);
  expect(second.configPath).toBe(stand.other.path);
  expect(allGone(first)).toBe(true);
  const third = await stand.start(stand.other, { version: '99.0.0' });
  expect(third.version).toBe('99.0.0');
  expect(allGone(second)).toBe(true);

  await stand.openRun();
  for (const error of [await refusal(stand.config, { version: '99.0.0' }), await refusal(stand.other)]) {
    expect(error.message).toContain(stand.other.path);
    expect(error.message).toContain('99.0.0');
    expect(error.message).toContain('1 open run');
  }
  const edited = await refusal({ ...stand.other, hash: 'edited' }, { version: '99.0.0' });
  expect(edited.message).toContain(`was started with an earlier content of ${stand.other.path}`);
  expect(await stand.status()).toMatchObject({ pid: third.pid, state: 'ready' });
});

test('runs that wait for the next start are kept from another configuration, as long as theirs exists', async () => {
  await stand.start();
  await stand.openRun();
  await stopEmbedded({ home: stand.home.folder });

  const error = await refusal(stand.other);
  expect(error.message).toContain(stand.config.path);
  expect(stand.servers()).toEqual([]);

  // The same file with other content: somebody corrected it, and the runs go on.
  const edited = await stand.start({ ...stand.config, hash: 'edited' });
  expect(edited.open).toMatchObject({ runs: 1 });
  await stopEmbedded({ home: stand.home.folder });

  rmSync(stand.config.path);
  expect((await stand.start(stand.other)).open).toMatchObject({ runs: 1 });
});

test('runs that a stopped server did not tell of are kept from another configuration', async () => {
  const { pid, serverPid } = await stand.start();
  await stand.openRun();
  process.kill(serverPid ?? 0, 'SIGSTOP');
  process.kill(pid, 'SIGTERM');
  await until('it gave up asking', () =>
    readFileSync(stand.home.supervisorLog, 'utf8').includes('the server does not say what is open'),
  );
  process.kill(serverPid ?? 0, 'SIGCONT');
  await until('all is gone', () => isGone(pid));
  expect(readLock(stand.home)).toMatchObject({ state: 'stopped', config: { path: stand.config.path } });
  await refusal(stand.other);
  // A start that was refused does not forget whose they are.
  await refusal(stand.other);
});
