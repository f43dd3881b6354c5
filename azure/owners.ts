import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { SHARED_CONTAINER } from '../registry/containers.js';
import { HubferryError } from '../registry/errors.js';
import { isJsonObject } from '../registry/record.js';
import { textOrNull } from './json.js';
import type { Storage } from './storage-port.js';

/*
 * One writer per target, also where Temporal servers that know nothing of each other share a storage account. The owner of
 * a target is the run that its blob names, while the blob is under the lease of that run: both are needed. So a run owns it
 * once it has written its name under its lease, and whoever takes the lease away has to have read who owns it, and does so
 * only as long as that is what the blob says.
 */

/** Who may write to a target, as its blob says. */
export interface Owner {
  /** RUN. */
  readonly run: string;
  /** The verb. */
  readonly workflow: string;
  /** The Temporal server as its clients call it; null where the run was not told. */
  readonly server: string | null;
  /** The id of its namespace, which it keeps when its address changes; null where the server does not tell. */
  readonly namespaceId: string | null;
  /** ISO time. */
  readonly since: string;
}

/** An owner as it was read. Null: nobody, or somebody who is just taking it, or a blob that is not ours. */
export interface SeenOwner {
  readonly owner: Owner | null;
  readonly etag: string;
}

const OWNERS = 'owners/';

const ownerBlob = (host: string): string => `${OWNERS}${host}`;

/** The hosts that have an owner, or had one that left its blob. */
export async function* ownedHosts(storage: Storage): AsyncGenerator<string> {
  // Before the first run there is nothing to own.
  if (!(await storage.containerExists(SHARED_CONTAINER))) return;
  for await (const { name } of storage.list(SHARED_CONTAINER, OWNERS)) yield name.slice(OWNERS.length);
}

/** Who owns a target; null where there is no blob. */
export async function readOwner(storage: Storage, host: string): Promise<SeenOwner | null> {
  const seen = await storage.readTagged(SHARED_CONTAINER, ownerBlob(host));
  return seen && { owner: parseOwner(seen.text), etag: seen.etag };
}

/** Who has the lease and has not written his name is about to; longer than this it takes nobody who lives, ms. */
const NAMING = 2_000;

/** Between two tries, ms. */
const LOOK = 50;

/**
 * Makes a run the owner of a target. Safe to repeat, also at the same time: attempts of one run have one lease.
 *
 * @param mayReplace whether the run that owns it is over, so that ours takes its place.
 * @param givenUp ends an attempt that nobody waits for any more: its run may be over, and would own the target for ever.
 * @returns the owner whose place was taken, or null where there was none
 * @throws HubferryError TARGET_BUSY, LEASE_REFUSED
 */
export async function takeTarget(
  storage: Storage,
  host: string,
  own: Owner,
  mayReplace: (owner: Owner) => Promise<boolean>,
  givenUp?: AbortSignal,
): Promise<Owner | null> {
  const blob = ownerBlob(host);
  const lease = leaseOf(own.run, host);
  let replaced: Owner | null = null;
  let nameless = { etag: '', since: 0 };
  for (; ; await pause(LOOK)) {
    givenUp?.throwIfAborted();
    await storage.writeText(SHARED_CONTAINER, blob, '', { onlyIfAbsent: true });
    const isHeld = await storage.lease(SHARED_CONTAINER, blob, lease);
    if (isHeld && (await storage.writeText(SHARED_CONTAINER, blob, JSON.stringify(own), { lease })))
      return replaced;
    const seen = await readOwner(storage, host);
    if (seen === null || isHeld) continue; // it was freed, or taken from us, meanwhile
    const { owner, etag } = seen;
    if (owner === null || owner.run === own.run) {
      if (nameless.etag !== etag) nameless = { etag, since: Date.now() };
      if (Date.now() - nameless.since < NAMING) continue;
    } else {
      if (!(await mayReplace(owner))) throw busy(host, owner);
      replaced = owner;
    }
    await storage.breakLease(SHARED_CONTAINER, blob, etag);
  }
}

/** Ends the ownership of a run, where it has it. Safe to repeat. */
export async function freeTarget(storage: Storage, host: string, run: string): Promise<void> {
  await storage.deleteBlob(SHARED_CONTAINER, ownerBlob(host), { lease: leaseOf(run, host) });
}

/** Ends the ownership that was seen, whoever has it, unless somebody else has it by now. @returns false then */
export async function dropOwner(storage: Storage, host: string, { etag }: SeenOwner): Promise<boolean> {
  await storage.breakLease(SHARED_CONTAINER, ownerBlob(host), etag);
  return await storage.deleteBlob(SHARED_CONTAINER, ownerBlob(host), { etag });
}

/** Tries on a target of nobody whether the account leases blobs. @throws HubferryError LEASE_REFUSED */
export async function tryLease(storage: Storage, name: string): Promise<void> {
  const own = { run: name, workflow: 'check', server: null, namespaceId: null, since: '' };
  await takeTarget(storage, name, own, () => Promise.resolve(false));
  await freeTarget(storage, name, name);
}

/** Takes away what is left of a try that was broken off, at whatever point: the blob may have no lease yet, or no name. */
export async function forgetTry(storage: Storage, name: string): Promise<void> {
  const seen = await readOwner(storage, name);
  if (seen !== null) await dropOwner(storage, name, seen);
}

/** A run's lease of a target: the same for all attempts. */
function leaseOf(run: string, host: string): string {
  const digest = createHash('sha256').update(`${run} ${host}`).digest('hex');
  return digest.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

function busy(host: string, { run, workflow, server, since }: Owner): HubferryError {
  const where = server === null ? 'another Temporal server' : `the Temporal server ${server}`;
  return new HubferryError(
    'TARGET_BUSY',
    `Run ${run} (${workflow}) of ${where} writes to ${host} since ${since}. ` +
      `\`hubferry status ${run}\` there says how it stands; ` +
      `if it is lost, \`hubferry gc --run ${run}\` frees the target. Nothing was written.`,
  );
}

/** Who may write to the account may have put anything there. */
function parseOwner(text: string): Owner | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isJsonObject(value)) return null;
  const { run, workflow, server, namespaceId, since } = value;
  if (typeof run !== 'string' || typeof workflow !== 'string' || typeof since !== 'string') return null;
  return { run, workflow, since, server: textOrNull(server), namespaceId: textOrNull(namespaceId) };
}
