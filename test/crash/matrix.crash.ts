import { afterAll, expect, inject, it } from 'vitest';
import { sharedServices } from '../support/stand.js';
import { cellsOf, nameOf, tableOf } from './cells.js';
import { LANES } from './lanes.js';
import { ACTIVITIES, Lanes } from './matrix.js';
import { SCENARIOS } from './scenarios.js';

const lanes = new Lanes(sharedServices(inject), LANES);
afterAll(() => lanes.close());

/** Only the scenarios whose names fit; by default all. */
const wanted = new RegExp(process.env['CRASH_SCENARIOS'] ?? '');
const scenarios = Object.keys(SCENARIOS).filter((name) => wanted.test(name));
const { cells, unreached } = cellsOf(ACTIVITIES, await lanes.observe(scenarios));

const marks = new Map(cells.map((cell) => [nameOf(cell), '-']));
afterAll(() => {
  const run = [...marks.values()].filter((mark) => mark !== '-').length;
  const passed = [...marks.values()].filter((mark) => mark === 'ok').length;
  process.stdout.write(`\n${tableOf(marks, cells)}\n${cells.length} cells, ${run} run, ${passed} passed\n`);
});

it.runIf(scenarios.length === Object.keys(SCENARIOS).length)('some scenario reaches every activity', () => {
  expect(unreached).toEqual([]);
});

for (const cell of cells)
  it.concurrent(`${nameOf(cell)} (${cell.scenario})`, async () => {
    marks.set(nameOf(cell), 'NO');
    await lanes.disturb(cell);
    marks.set(nameOf(cell), 'ok');
  });
