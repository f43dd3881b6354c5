import {
  appendFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger, logLevel } from '../../worker/log.js';
import { lastLine, logSize, trimLog } from '../../worker/log-file.js';
import { temporalLogger } from '../../worker/runtime.js';

const KEY = 'zm0qYOLPvh8tVpzG3fR1sXcB7kN5dJ2wQ9aE4uT6yHM=';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-log-'));
  file = join(folder, 'worker.log');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const lines = (): unknown[] =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

test('what is logged through Temporal’s logger is JSON lines without secrets', () => {
  const log = temporalLogger(createLogger({ fd: openSync(file, 'a') }));
  log.info(`started with ${KEY}`, { workflowId: 'write/h', attempt: 2, when: 5n });
  log.warn('Activity failed', { error: new Error(`SharedAccessKey=${KEY}`) });
  log.trace('not shown');
  expect(readFileSync(file, 'utf8')).not.toContain(KEY);
  expect(lines()).toMatchObject([
    { level: 'info', msg: 'started with ***', workflowId: 'write/h', attempt: 2, when: '5' },
    { level: 'warn', msg: 'Activity failed', error: { message: 'SharedAccessKey=***' } },
  ]);
});

test('errors and texts given straight to the logger are scrubbed too', () => {
  const log = createLogger({ fd: openSync(file, 'a') });
  log.error(new Error(`bad key ${KEY}`));
  log.error({ err: new Error('inner', { cause: new Error(KEY) }) }, 'with %s');
  log.child({ token: KEY }).info(KEY);
  log.info('%s %o', KEY, { key: KEY });
  expect(readFileSync(file, 'utf8')).not.toContain(KEY);
  expect(lines()).toHaveLength(4);
});

test('a log is emptied in place when it is too long, and the former text stays beside it', () => {
  writeFileSync(file, `${'x'.repeat(99)}\n`.repeat(10));
  const { ino } = statSync(file);
  trimLog(file, 2_000);
  expect(statSync(file).size).toBe(1_000);
  trimLog(file, 999);
  expect(statSync(file)).toMatchObject({ size: 0, ino });
  expect(statSync(`${file}.1`).size).toBe(1_000);
  trimLog(join(folder, 'none.log'));
});

test('a log is emptied even if its former text cannot be kept', () => {
  writeFileSync(file, 'x'.repeat(1_000));
  symlinkSync(join(folder, 'gone', 'place'), `${file}.1`);
  trimLog(file, 999);
  expect(statSync(file).size).toBe(0);
});

test('the level is that of HUBFERRY_LOG_LEVEL, and a wrong one is wrong usage', () => {
  expect(logLevel({})).toBe('info');
  expect(logLevel({ HUBFERRY_LOG_LEVEL: '' })).toBe('info');
  expect(logLevel({ HUBFERRY_LOG_LEVEL: 'debug' })).toBe('debug');
  expect(() => logLevel({ HUBFERRY_LOG_LEVEL: 'loud' })).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('warn, error') }),
  );
});

test('lastLine gives the last words, or none', () => {
  writeFileSync(file, 'first\nsecond\n\n');
  expect(lastLine(file)).toBe('second');
  expect(lastLine(join(folder, 'none.log'))).toBeNull();
});

test('lastLine of a new life quotes no earlier one', () => {
  writeFileSync(file, 'earlier\n');
  const start = logSize(file);
  expect(lastLine(file, start)).toBeNull();
  appendFileSync(file, 'now\n');
  expect(lastLine(file, start)).toBe('now');
});
