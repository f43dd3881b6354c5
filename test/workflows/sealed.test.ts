import { Client } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { approve, cancel } from '../../workflows/messages.js';
import { parked } from '../support/parking.js';
import { FAST, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const [K1, K2] = [`k1: "${key(1)}"`, `k2: "${key(2)}"`];
const sealing = (keyId: string, ...keys: string[]): string =>
  `keys: { ${keys.join(', ')} }\nsettings: { keyId: ${keyId} }`;

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject), undefined, {}, '', { keys: sealing('k1', K1) });
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(Array.from({ length: 60 }, (_, index) => ({ deviceId: `secret-place-${index}` })));
});

/** What somebody without a key sees of the stand's workflows. */
async function seen(): Promise<Seen> {
  const bare = new Client({ connection: stand.client.connection });
  const found: Seen = { keyIds: new Set(), readable: [], failures: new Set(), types: new Set() };
  for await (const { workflowId, runId, type } of bare.workflow.list({
    query: `TaskQueue = "${stand.taskQueue}"`,
  })) {
    found.types.add(type);
    look(await bare.workflow.getHandle(workflowId, runId).fetchHistory(), found);
  }
  return found;
}

interface Seen {
  readonly keyIds: Set<string>;
  /** Payloads that are not sealed. */
  readonly readable: string[];
  /** Words of failures. */
  readonly failures: Set<string>;
  readonly types: Set<string>;
}

const textOf = (value: unknown): string => Buffer.from((value ?? []) as Uint8Array).toString('utf8');

/** @param value any part of a history, as protobuf gives it */
function look(value: unknown, found: Seen): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  const { metadata, data, stackTrace, message } = value as Record<string, unknown>;
  if (metadata !== undefined && data !== undefined) {
    const { encoding, 'key-id': id } = metadata as Record<string, unknown>;
    if (textOf(encoding) === 'binary/encrypted') found.keyIds.add(textOf(id));
    else found.readable.push(textOf(data));
    return;
  }
  if (typeof stackTrace === 'string' && typeof message === 'string')
    found.failures.add(`${message}${stackTrace}`);
  for (const [name, part] of Object.entries(value)) {
    // By the first the server looks for runs; the second name changes of the code. The library writes both in clear.
    if (name !== 'searchAttributes' && name !== 'markerRecordedEventAttributes') look(part, found);
  }
}

it('a run is sealed in all that Temporal keeps of it, and a key that comes in the middle is used from then on', async () => {
  const held = stand.hold('sealPlan');
  const handle = await stand.migrate({ settings: { ...FAST, chunkLines: 30 } });
  await held.reached;
  await stand.restart(sealing('k2', K1, K2));
  held.release();
  // This client is of before, and has only the old key.
  await expect(stand.reportOf(handle)).rejects.toMatchObject({
    code: 'KEY_UNKNOWN',
    message: expect.stringContaining('sealed with key k2'),
  });
  const again = stand.client.workflow.getHandle(handle.workflowId);
  const report = await stand.reportOf(again);
  expect(report).toMatchObject({ outcome: 'verified', ledger: { create: 60, applied: 60 } });
  const found = await until('all are listed', async () => {
    const now = await seen();
    return now.types.size === 4 && now;
  });
  expect([...found.types].toSorted()).toEqual(['apply', 'hubJob', 'hubQueue', 'migrate']);
  expect([...found.keyIds].toSorted()).toEqual(['k1', 'k2']);
  expect(found.readable).toEqual([]);
});

it('the words of failures are sealed, and told to who has the key', async () => {
  stand.hub('old').addFault({ kind: 'status', status: 401, route: 'POST /jobs/create', times: 9 });
  const handle = await stand.migrate();
  await parked(handle, 'HUB_UNAUTHORIZED');
  const refused = handle.executeUpdate(approve, { args: ['12345678'] });
  await expect(refused).rejects.toMatchObject({ cause: { type: 'NOT_PARKED' } });
  const { failures, readable } = await seen();
  await handle.executeUpdate(cancel, { args: [{ now: true }] });
  expect(await stand.reportOf(handle)).toMatchObject({ outcome: 'cancelled' });
  expect([...failures]).toContain('Encoded failure');
  // Server and library have words of their own, which know nothing of us.
  expect([...failures].join()).not.toMatch(/localhost|secret-place|HTTP/);
  expect(readable).toEqual([]);
});
