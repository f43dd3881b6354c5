import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NO_KEYS, openKeyRing } from '../../azure/key-ring.js';
import type { KeyConfig } from '../../config/model.js';
import { testCredential } from '../support/entra.js';
import { json, type Service, startService } from './service.js';

const KEY = Buffer.alloc(32, 7);
const text = KEY.toString('base64');
const path = '/hubferry.yaml';

describe('openKeyRing', () => {
  it('has one key to seal with, and all to open with', async () => {
    const keys: KeyConfig[] = [
      { id: 'k1', key: Buffer.alloc(32, 1).toString('base64') },
      { id: 'k2', key: text },
    ];
    const ring = await openKeyRing({ path, keys, keyId: 'k2' });
    expect(ring.current).toEqual({ id: 'k2', bytes: KEY });
    expect(ring.find('k1')).toEqual({ id: 'k1', bytes: Buffer.alloc(32, 1) });
    expect(() => ring.find('k\u001b3')).toThrow(
      expect.objectContaining({
        code: 'KEY_UNKNOWN',
        message: 'this was sealed with key k 3; /hubferry.yaml has k1, k2',
      }),
    );
    expect((await openKeyRing({ path, keys, keyId: null })).current).toBeNull();
  });

  it('may have none', () => {
    expect(NO_KEYS.current).toBeNull();
    expect(() => NO_KEYS.find('k1')).toThrow(
      expect.objectContaining({
        code: 'KEY_UNKNOWN',
        message: 'this was sealed with key k1; this process has no keys',
      }),
    );
  });
});

describe('a key in Azure Key Vault', () => {
  let service: Service;
  let vault: string;
  let secrets = 0;
  const credential = testCredential(() => 'a-token');
  beforeAll(async () => {
    service = await startService();
    vault = `https://localhost:${service.port}`;
  });
  afterAll(() => service.close());
  beforeEach(() => {
    service.forget();
    credential.asked.length = 0;
  });

  /** A vault that asks who we are, as the real one does, before it answers. */
  const answers = (status: number, body: unknown): void => {
    service.answer((response, request) => {
      if (request.headers.authorization !== undefined) {
        json(status, body)(response, request);
        return;
      }
      json(
        401,
        { error: { code: 'Unauthorized', message: 'no token' } },
        {
          'WWW-Authenticate':
            'Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"',
        },
      )(response, request);
    });
  };
  const refuses = (status: number, code: string, message: string): void =>
    answers(status, { error: { code, message } });
  const secret = (value: string): object => ({ value, id: `${vault}/secrets/s/1`, attributes: {} });
  /** Another secret each time, since keys are kept for the life of the process. */
  const inVault = (id: string): KeyConfig => ({ id, vault, secret: `s${(secrets += 1)}` });
  const open = (keys: readonly KeyConfig[], keyId: string | null) =>
    openKeyRing({ path, keys, keyId }, { ca: service.ca, credential });

  it('is read once in the life of a process, as its identity', async () => {
    answers(200, secret(`${text}\n`));
    const keys = [inVault('k1')];
    const [one, two] = await Promise.all([open(keys, 'k1'), open(keys, 'k1')]);
    expect(one.current).toEqual({ id: 'k1', bytes: KEY });
    expect(two.current).toEqual(one.current);
    expect((await open(keys, null)).find('k1').bytes).toEqual(KEY);
    expect(credential.asked).toEqual(['https://vault.azure.net/.default']);
    expect(service.asked.map(({ url }) => url.replace(/\?.*/, ''))).toEqual([
      `/secrets/s${secrets}/`,
      `/secrets/s${secrets}/`,
    ]);
  });

  it.each([
    [403, 'Forbidden', 'KEY_VAULT_UNAUTHORIZED', 'Caller is not authorized; sig=***'],
    [404, 'SecretNotFound', 'KEY_VAULT_NO_KEY', 'Caller is not authorized; sig=***'],
    [403, 'SecretDisabled', 'KEY_VAULT_NO_KEY', 'Caller is not authorized; sig=***'],
    [400, 'BadParameter', 'KEY_VAULT_UNREACHABLE', 'Caller is not authorized; sig=***'],
  ])('is refused with HTTP %i %s: %s', async (status, code, ours, words) => {
    refuses(status, code, `Caller is not authorized; sig=${text}`);
    const error: unknown = await open([inVault('k1')], 'k1').catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: ours,
      message: `key k1 (secret s${secrets} of ${vault}) cannot be read (${code}, HTTP ${status}): ${words}`,
    });
  });

  it('of old times which the vault does not give stops nothing until it is needed', async () => {
    refuses(404, 'SecretNotFound', 'A secret with (name/id) x was not found in this key vault.');
    const old = inVault('k1');
    const ring = await open([old, { id: 'k2', key: text }], 'k2');
    expect(() => ring.find('k1')).toThrow(expect.objectContaining({ code: 'KEY_VAULT_NO_KEY' }));
    answers(200, secret(text));
    expect((await open([old], null)).find('k1').bytes).toEqual(KEY);
  });

  it('that cannot be reached is asked for again, and then stops', async () => {
    refuses(503, 'ServiceUnavailable', 'busy');
    const keys = [inVault('k1'), { id: 'k2', key: text }];
    await expect(open(keys, 'k2')).rejects.toMatchObject({ code: 'KEY_VAULT_UNREACHABLE' });
    expect(service.asked.length).toBeGreaterThan(2);
    const nowhere: KeyConfig = { id: 'k1', vault: 'https://localhost:1', secret: 's' };
    await expect(open([nowhere], 'k1')).rejects.toMatchObject({
      code: 'KEY_VAULT_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it.each(['short', '', `${text}${text}`])('is not "%s"', async (value) => {
    answers(200, secret(value));
    await expect(open([inVault('k1')], 'k1')).rejects.toMatchObject({
      code: 'KEY_VAULT_NO_KEY',
      message: `the value of key k1 (secret s${secrets} of ${vault}) is no key: expected base64 of 32 bytes`,
    });
  });

  it('is not asked for where there is no token', async () => {
    answers(200, secret(text));
    const silent = testCredential(() => {
      throw new Error(`AADSTS7000215: Invalid client secret ${text}`);
    });
    const config = { path, keys: [inVault('k1')], keyId: 'k1' };
    await expect(openKeyRing(config, { ca: service.ca, credential: silent })).rejects.toMatchObject({
      code: 'SIGN_IN_FAILED',
      message: 'Microsoft Entra ID gives this process no token (AADSTS7000215: Invalid client secret ***)',
    });
  });
});
