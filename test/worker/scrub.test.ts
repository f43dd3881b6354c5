import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { maskSecrets } from '../../registry/secrets.js';
import { scrubFields } from '../../worker/scrub.js';

const KEY = 'zm0qYOLPvh8tVpzG3fR1sXcB7kN5dJ2wQ9aE4uT6yHM=';

/** Bytes that look random, and are the same each time. */
const bytesOf = (seed: string, bytes: number): Buffer =>
  Buffer.concat([1, 2].map((part) => createHash('sha512').update(`${seed} ${part}`).digest())).subarray(
    0,
    bytes,
  );

describe('maskSecrets masks', () => {
  test.each([
    [
      'a hub’s connection string',
      `HostName=h.azure-devices.net;SharedAccessKeyName=owner;SharedAccessKey=${KEY}`,
    ],
    ['a short shared access key', 'SharedAccessKey=c2hvcnQ='],
    ['an account key', `AccountName=a;AccountKey=${KEY}${KEY};EndpointSuffix=core.windows.net`],
    ['a SAS token', 'SharedAccessSignature sr=h%2Fdevices&sig=aBc%2Fd%2B1%3D&se=1700000000&skn=owner'],
    ['a SAS URI', 'https://a.blob.core.windows.net/c?sv=2024&sig=aBc%2Fd%2B1%3D&sp=rw'],
    ['a storage SAS', 'BlobEndpoint=https://x/;SharedAccessSignature=sv=2024&sig=aBc%3D'],
    ['a bare key', `the record has ${KEY} in it`],
    ['a key in JSON', JSON.stringify({ primaryKey: KEY })],
    ['a key in JSON in JSON', JSON.stringify(JSON.stringify({ primaryKey: KEY }))],
    ['a key without digits and padding', 'key GtwWgaUX/fKRoZCbrvohBxXWVkzWEKmcFETBAVcdFcxHg+Oo'],
    ['a URL-encoded key', `key=${encodeURIComponent('a+b/c'.repeat(9))}%3D`],
    ['a key in base64url', `token ${Buffer.from(KEY.repeat(2)).toString('base64url')}.`],
  ])('%s', (_, text) => {
    const masked = maskSecrets(text);
    expect(masked).toContain('***');
    for (const secret of [KEY, 'GtwWga', 'c2hvcnQ', 'aBc', encodeURIComponent('a+b/c'.repeat(9))]) {
      expect(masked).not.toContain(secret);
    }
  });

  test('every random key of 32 to 96 bytes, also in JSON, which stays JSON', () => {
    for (let bytes = 32; bytes <= 96; bytes++) {
      for (let time = 0; time < 20; time++) {
        const key = bytesOf(`${bytes} ${time}`, bytes).toString('base64');
        expect(maskSecrets(`before ${key} after`)).toBe('before *** after');
        const line = maskSecrets(JSON.stringify({ text: `line\n${key}`, key, more: `\u0001${key}"` }));
        expect(line).not.toContain(key);
        expect(JSON.parse(line)).toMatchObject({ text: 'line\n***', key: '***', more: '\u0001***"' });
      }
    }
  });
});

describe('maskSecrets leaves', () => {
  test.each([
    ['names around secrets', 'HostName=h.azure-devices.net;SharedAccessKeyName=iothubowner'],
    ['a digest', '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b'],
    ['a thumbprint', 'AF3B9C0D1E2F3A4B5C6D7E8F9A0B1C2D3E4F5A6BAF3B9C0D1E2F3A4B5C6D7E8F'],
    ['a run', 'apply/20261124-040302-a1b2c3/12'],
    ['ids of Temporal', '019ab3c4-1f2e-7a3b-9c4d-5e6f7a8b9c0d'],
    ['a path', 'file:///root/projects/hubferry/node_modules/temporalio/worker/lib/runtime/index.js:12:5'],
    ['a long path', '/home/user/Library/Application/Support/hubferry/snapshots/manifest/current/device.json'],
    [
      'a stack',
      '    at createWorkerPairWithConnectionsAndActivities (/opt/hubferry/worker/worker-pair.ts:88:13)',
    ],
    ['a container', 'hf-20261124-040302-a1b2c3-0012-1 in https://account.blob.core.windows.net/'],
  ])('%s', (_, text) => {
    expect(maskSecrets(text)).toBe(text);
  });
});

describe('scrubFields', () => {
  test('reaches into objects, arrays, keys and errors', () => {
    const cause = new Error(`inner AccountKey=${KEY}`);
    const error = Object.assign(new Error(`outer ${KEY}`, { cause }), {
      code: 'X',
      details: [{ secret: 'payload' }],
    });
    const text = JSON.stringify(
      scrubFields({ err: error, list: [{ [`k ${KEY}`]: KEY }], count: 12n, at: new Date(0) }),
    );
    expect(text).not.toContain(KEY);
    expect(text).not.toContain('payload');
    expect(JSON.parse(text)).toMatchObject({
      err: { name: 'Error', message: 'outer ***', code: 'X', cause: { message: 'inner AccountKey=***' } },
      list: [{ 'k ***': '***' }],
      count: '12',
      at: '1970-01-01T00:00:00.000Z',
    });
  });

  test('ends in circles and depths, and shows no bytes', () => {
    const circle: Record<string, unknown> = { bytes: Buffer.from('payload') };
    circle['self'] = circle;
    expect(JSON.stringify(scrubFields(circle))).not.toContain('payload');
  });
});
