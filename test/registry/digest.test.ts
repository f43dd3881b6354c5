import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { changeDigest, DIGEST_BYTES, planHash, saltedDigest } from '../../registry/digest.js';
import type { Policy } from '../../registry/policy.js';
import { recordKey } from '../../registry/record.js';
import { SEEDED } from './arbitraries.js';

const policy: Policy = { existing: 'fail', extra: 'keep' };
const key = recordKey('x', null);

test('changeDigest tells kind, key and content apart, and is stable across versions', () => {
  const digests = [
    changeDigest('create', key, '{"id":"x"}'),
    changeDigest('update', key, '{"id":"x"}'),
    changeDigest('create', recordKey('x', 'm'), '{"id":"x"}'),
    changeDigest('create', key, '{"id":"x" }'),
    changeDigest('delete', key, ''),
  ].map((digest) => Buffer.from(digest, 'latin1').toString('hex'));
  expect(new Set(digests).size).toBe(5);
  expect(digests[0]).toBe('7a0fa63d11d5a7bfd2c40c62c64addff04b4d0fd313b4dc810db66309979a1b7');
});

test('planHash is the same in any order, and stable across versions', () => {
  const digestOf = (id: string): Buffer =>
    Buffer.from(changeDigest('create', recordKey(id, null), `{"id":"${id}"}`), 'latin1');
  const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')];
  const hash = planHash(Buffer.concat([a, b, c]), policy);
  expect(planHash(Buffer.concat([c, a, b]), policy)).toBe(hash);
  expect(hash).toBe('bd6c6acaded3a4d8e4c6cb9cf7339f12899d95fbca90ef4bb5c791a39173fe18');
  expect(planHash(Buffer.concat([a, b]), policy)).not.toBe(hash);
  expect(planHash(Buffer.concat([a, b, c]), { existing: 'skip', extra: 'keep' })).not.toBe(hash);
  expect(planHash(Buffer.concat([a, b, c]), { existing: 'fail', extra: 'delete' })).not.toBe(hash);
  expect(planHash(Buffer.alloc(0), policy)).toMatch(/^[\da-f]{64}$/);
});

test('planHash sorts whole digests, also those that begin alike, and leaves its input alone', () => {
  const digest = fc.uint8Array({ minLength: DIGEST_BYTES, maxLength: DIGEST_BYTES }).map((bytes) => {
    bytes.fill(7, 0, 2 + ((bytes[2] ?? 0) % 3));
    return Buffer.from(bytes);
  });
  fc.assert(
    fc.property(fc.array(digest, { maxLength: 30 }), (digests) => {
      const together = Buffer.concat(digests);
      const before = Buffer.from(together);
      const expected = createHash('sha256')
        .update('["fail","keep"]\n')
        .update(Buffer.concat(digests.toSorted((one, other) => Buffer.compare(one, other))))
        .digest('hex');
      expect(planHash(together, policy)).toBe(expected);
      expect(together.equals(before)).toBe(true);
    }),
    SEEDED,
  );
});

test('planHash refuses half a digest', () => {
  expect(() => planHash(Buffer.alloc(33), policy)).toThrow(RangeError);
});

test('saltedDigest needs the salt', () => {
  const line = '{"id":"x"}';
  const digest = saltedDigest('salt', line);
  expect(digest).toMatch(/^[\da-f]{64}$/);
  expect(saltedDigest('salt', line)).toBe(digest);
  expect(saltedDigest('other', line)).not.toBe(digest);
  expect(digest).not.toBe(createHash('sha256').update(line).digest('hex'));
});
