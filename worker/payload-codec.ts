import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import type { Key, KeyRing } from '../azure/key-ring.js';
import { HubferryError } from '../registry/errors.js';
import { protocol } from './temporal.js';

/** What the metadata of a sealed payload says; also what Temporal's own samples write. */
const ENCODING = 'binary/encrypted';
const KEY_ID = 'key-id';

const CIPHER = 'aes-256-gcm';
/** Bytes of a nonce and of a tag: what GCM is made for. A nonce is random, so a key is good for 2³² payloads. */
const NONCE = 12;
const TAG = 16;

/**
 * Seals every payload with the current key of a ring, and opens what any of its keys has sealed. A payload that is not
 * sealed is left as it is, so a key can be introduced while runs are under way. The data of a sealed one is nonce,
 * ciphertext of the whole payload, and tag; its key's id is in its metadata, and bound by the tag.
 *
 * Nothing else is bound: Temporal itself moves payloads between workflows (schedules, children, runs that go on).
 */
export function payloadCodec(ring: KeyRing): PayloadCodec {
  return {
    encode: async (payloads) => {
      const { current } = ring;
      return current === null ? payloads : payloads.map((payload) => seal(payload, current));
    },
    decode: async (payloads) =>
      payloads.map((payload) => (isSealed(payload) ? open(payload, ring) : payload)),
  };
}

/**
 * Opens nothing, and reads what is sealed as null: for those who only count what a server holds, and know no
 * configuration.
 */
export const blindCodec: PayloadCodec = {
  encode: async (payloads) => payloads,
  decode: async (payloads) =>
    payloads.map((payload) =>
      isSealed(payload) ? { metadata: { encoding: bytes('json/plain') }, data: bytes('null') } : payload,
    ),
};

function isSealed({ metadata }: Payload): boolean {
  return text(metadata?.['encoding']) === ENCODING;
}

function seal(payload: Payload, { id, bytes: key }: Key): Payload {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(bound(id));
  const plain = messageType().encode(payload).finish();
  const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: bytes(ENCODING), [KEY_ID]: bytes(id) }, data };
}

/** @throws HubferryError KEY_UNKNOWN, KEY_MISMATCH, or as `KeyRing.find` */
function open({ metadata, data }: Payload, ring: KeyRing): Payload {
  const { id, bytes: key } = ring.find(text(metadata?.[KEY_ID]));
  const sealed = data ?? new Uint8Array();
  try {
    const tag = sealed.subarray(-TAG);
    if (sealed.length < NONCE + TAG) throw new Error('too short');
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE), { authTagLength: TAG });
    decipher.setAAD(bound(id)).setAuthTag(tag);
    const plain = Buffer.concat([decipher.update(sealed.subarray(NONCE, -TAG)), decipher.final()]);
    return messageType().decode(plain);
  } catch {
    throw new HubferryError('KEY_MISMATCH', `a payload in Temporal cannot be opened with key ${id}`);
  }
}

/** What the tag binds besides the ciphertext; the words keep a key's other uses apart. */
function bound(id: string): Buffer {
  return bytes(`hubferry payload 1 ${id}`);
}

function messageType() {
  return protocol().temporal.api.common.v1.Payload;
}

function bytes(words: string): Buffer {
  return Buffer.from(words, 'utf8');
}

function text(value: Uint8Array | null | undefined): string {
  return Buffer.from(value ?? []).toString('utf8');
}
