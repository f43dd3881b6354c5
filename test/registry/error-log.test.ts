import { expect, test } from 'vitest';
import { parseErrorLine } from '../../registry/error-log.js';
import { printDesiredLine, printImportLine } from '../../registry/line.js';
import { KEY_A, record } from './records.js';

const importLine = (moduleId?: string): string =>
  printImportLine(
    printDesiredLine(record({ id: "odd-%#*?;$'", moduleId, tagsText: '{"id":"not this"}' }), null),
    'create',
    () => '',
  );

const echo = (line: string): string =>
  JSON.stringify({
    errorCode: 400012,
    errorStatus: `Invalid device format in line: ${line}. Error converting value. Path 'status', position 7.`,
  });

test.each([
  ['{"deviceId":"x","errorCode":409001,"errorStatus":"x"}', 'x', 409001, 'the device exists already'],
  ['{"deviceId":"x","errorCode":"DeviceAlreadyExists"}', 'x', 409001, 'the device exists already'],
  ['{"deviceId":"x","errorCode":"409001"}', 'x', 409001, 'the device exists already'],
  ['{"DeviceId":"x","ModuleId":"m","ErrorCode":409301}', 'x/m', 409301, 'the module exists already'],
  ['\uFEFF{"deviceId":"x","moduleId":"","errorCode":404001}\r', 'x', 404001, 'does not know the device'],
  ['{"deviceId":"x","moduleId":null,"errorCode":400004}', 'x', 400004, 'invalid'],
  ['{"deviceId":"x","errorCode":499999}', 'x', 499999, 'the hub rejected this line (code 499999)'],
  ['{"deviceId":"x","errorCode":"SomethingNew"}', 'x', 'SomethingNew', '(code SomethingNew)'],
  [`{"deviceId":"x","errorCode":"${KEY_A}"}`, 'x', 'UNREADABLE', 'cannot be read'],
  ['{"deviceId":"x"}', 'x', 'UNREADABLE', 'cannot be read'],
  ['{"errorCode":403002}', null, 403002, 'full'],
  ['{"deviceId":"no/id","errorCode":403002}', null, 403002, 'full'],
  ['{"deviceId":"x","moduleId":7,"errorCode":403002}', null, 403002, 'full'],
  [`not JSON ${KEY_A}`, null, 'UNREADABLE', 'cannot be read'],
  ['[]', null, 'UNREADABLE', 'cannot be read'],
  ['null', null, 'UNREADABLE', 'cannot be read'],
  [echo(importLine()), "odd-%#*?;$'", 400012, 'cannot read the line'],
  [echo(importLine('m')), "odd-%#*?;$'/m", 400012, 'cannot read the line'],
  [echo(JSON.stringify(importLine()).slice(1, -1)), "odd-%#*?;$'", 400012, 'cannot read the line'],
  [echo('{"status":"x","tags":{"id":"x"}}'), null, 400012, 'cannot read the line'],
])('entry %#', (line, key, code, reason) => {
  const read = parseErrorLine(line);
  expect(read).toStrictEqual({ key, code, reason: expect.stringContaining(reason) });
  expect(JSON.stringify(read)).not.toContain(KEY_A);
});

test.each(['', ' ', '\r', '\uFEFF'])('%j is no entry', (line) => {
  expect(parseErrorLine(line)).toBeNull();
});
