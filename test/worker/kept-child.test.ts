import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { HubferryError } from '../../registry/errors.js';
import { KeptChild, type RunningChild } from '../../worker/kept-child.js';
import { until } from '../support/until.js';

const log = pino({ level: 'silent' });

afterEach(() => {
  vi.restoreAllMocks();
});

class Fake implements RunningChild {
  readonly pid = 1;
  readonly ended: Promise<string>;
  stopped = false;
  die: (how: string) => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.die = resolve;
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.die('SIGTERM');
    await this.ended;
  }
}

test('a child that dies is started again, until it is stopped', async () => {
  const lives: Fake[] = [];
  const up: RunningChild[] = [];
  const kept = new KeptChild({
    name: 'fake',
    log,
    onUp: (child) => void up.push(child),
    start: async () => {
      const child = new Fake();
      lives.push(child);
      return child;
    },
  });
  await kept.start();
  lives[0]?.die('SIGKILL');
  await until('a second life', () => lives.length === 2);
  lives[1]?.die('exit code 1');
  await until('a third life', () => up.length === 3);
  await kept.stop();
  expect(lives[2]?.stopped).toBe(true);
  expect(lives).toHaveLength(3);
});

test('one that takes long to come up and dies at once is started after growing pauses', async () => {
  let now = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => now);
  const said: unknown[] = [];
  const listening = pino({}, { write: (line) => said.push(JSON.parse(line)) });
  let lives = 0;
  let third: () => void = () => undefined;
  const thirdLife = new Promise<void>((resolve) => {
    third = resolve;
  });
  const start = async (): Promise<RunningChild> => {
    if (++lives === 3) third();
    now += 60_000;
    const child = new Fake();
    child.die('exit code 1');
    return child;
  };
  const kept = new KeptChild({ name: 'fake', log: listening, start });
  await kept.start();
  await thirdLife;
  await kept.stop();
  expect(said).toMatchObject([{ shortLives: 1 }, { shortLives: 2 }]);
});

test('one that never comes up fails after three tries, with its own words', async () => {
  let tries = 0;
  const kept = new KeptChild({
    name: 'fake',
    log,
    start: () => Promise.reject(new HubferryError('EMBEDDED_FAILED', `try ${++tries}`)),
  });
  await expect(kept.start()).rejects.toThrow('try 3');
});

test('a fault of the configuration is not tried again', async () => {
  let tries = 0;
  const start = (): Promise<RunningChild> => {
    tries++;
    return Promise.reject(new HubferryError('CONFIG_INVALID', 'line 3'));
  };
  await expect(new KeptChild({ name: 'fake', log, start }).start()).rejects.toThrow('line 3');
  expect(tries).toBe(1);
});

test('stopped while it starts: the child is ended, the start fails', async () => {
  const child = new Fake();
  let finish: () => void = () => undefined;
  const kept = new KeptChild({
    name: 'fake',
    log,
    start: () =>
      new Promise((resolve) => {
        finish = () => resolve(child);
      }),
  });
  const starting = expect(kept.start()).rejects.toMatchObject({ code: 'EMBEDDED_FAILED' });
  const stopping = kept.stop();
  finish();
  await stopping;
  await starting;
  expect(child.stopped).toBe(true);
});
