import { expect, test } from 'vitest';
import { parse } from '../docs/cli.js';

test('a metrics port is one of loopback, or stands with its address', () => {
  const placeOf = (text: string): unknown => parse(['worker', '--metrics-port', text]).opts()['metricsPort'];
  expect(placeOf('9464')).toBe('127.0.0.1:9464');
  expect(placeOf('0.0.0.0:9464')).toBe('0.0.0.0:9464');
  for (const text of ['0', '', 'localhost:9464', '9464 ', '1:2:3'])
    expect(() => placeOf(text), text).toThrow('expected a port such as 9464');
});
