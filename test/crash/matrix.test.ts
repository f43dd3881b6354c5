import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { sharedServices } from '../support/stand.js';
import { type Cell, cellsOf, nameOf } from './cells.js';
import { ACTIVITIES, Lanes } from './matrix.js';

/** Some of the nastiest; `npm run test:crash` has all. */
const NASTY = [
  'submitJob: killed during',
  'export job of old: heartbeat lost, both at work',
  'export job of old: heartbeat lost, woken late',
  'sealSnapshot: heartbeat lost, both at work',
];

const lanes = new Lanes(sharedServices(inject), 2);
let cells: readonly Cell[];
beforeAll(async () => {
  ({ cells } = cellsOf(ACTIVITIES, await lanes.observe(['snapshot'])));
}, 300_000);
afterAll(() => lanes.close());

it.concurrent.each(NASTY)(
  '%s',
  async (name) => {
    const cell = cells.find((one) => nameOf(one) === name);
    expect(cell).toBeDefined();
    if (cell) await lanes.disturb(cell);
  },
  180_000,
);
