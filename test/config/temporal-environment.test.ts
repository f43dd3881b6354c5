import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../config/index.js';
import { HubferryError } from '../../registry/errors.js';

const API_KEY = 'planted-api-key-0123456789';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-config-'));
  file = join(folder, 'temporal.toml');
});
afterEach(() => rmSync(folder, { recursive: true }));

function temporalOf(section: string, env: NodeJS.ProcessEnv): Config['temporal'] {
  writeFileSync(join(folder, 'hubferry.yaml'), `hubs: {}\ntemporal: ${section}\n`);
  // Never the file of whoever runs the tests.
  return loadConfig({ cwd: folder, env: { TEMPORAL_CONFIG_FILE: file, ...env } }).temporal;
}

function failure(section: string, env: NodeJS.ProcessEnv = {}): { code: string; message: string } {
  try {
    temporalOf(section, env);
  } catch (error) {
    if (!(error instanceof HubferryError)) throw error;
    expect(`${error.message} ${error.hint} ${error.stack ?? ''}`).not.toContain(API_KEY);
    return { code: error.code, message: error.message };
  }
  throw new Error('it was accepted');
}

const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

describe('temporal: { environment: true }', () => {
  it('takes address, namespace and an API key from the environment', () => {
    const env = {
      TEMPORAL_ADDRESS: 'fleet.a1b2c.tmprl.cloud:7233',
      TEMPORAL_NAMESPACE: 'fleet.a1b2c',
      TEMPORAL_API_KEY: API_KEY,
    };
    expect(temporalOf('{ environment: true }', env)).toMatchObject({
      address: 'fleet.a1b2c.tmprl.cloud:7233',
      namespace: 'fleet.a1b2c',
      access: { apiKey: API_KEY, tls: true },
    });
  });

  it('takes certificates from files', () => {
    for (const name of ['ca', 'crt', 'key']) writeFileSync(join(folder, name), `the ${name}`);
    const env = {
      TEMPORAL_ADDRESS: 'temporal.example:7233',
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: join(folder, 'ca'),
      TEMPORAL_TLS_CLIENT_CERT_PATH: join(folder, 'crt'),
      TEMPORAL_TLS_CLIENT_KEY_PATH: join(folder, 'key'),
    };
    const { namespace, access } = temporalOf('{ environment: true }', env) ?? {};
    expect(namespace).toBe('default');
    const tls = typeof access?.tls === 'object' ? access.tls : {};
    expect(textOf(tls.serverRootCACertificate)).toBe('the ca');
    expect(textOf(tls.clientCertPair?.crt)).toBe('the crt');
    expect(textOf(tls.clientCertPair?.key)).toBe('the key');
  });

  it('takes a profile of a file, over which the environment wins', () => {
    writeFileSync(
      file,
      `[profile.prod]\naddress = "prod.example:7233"\nnamespace = "fleet"\napi_key = "${API_KEY}"\n`,
    );
    expect(temporalOf('{ environment: true, profile: prod }', {})).toMatchObject({
      address: 'prod.example:7233',
      namespace: 'fleet',
      access: { apiKey: API_KEY },
    });
    const env = { TEMPORAL_PROFILE: 'prod', TEMPORAL_NAMESPACE: 'other' };
    expect(temporalOf('{ environment: true }', env)).toMatchObject({ namespace: 'other' });
  });

  it('is nothing of an address in the file: that one has no credentials', () => {
    const env = { TEMPORAL_ADDRESS: 'elsewhere:7233', TEMPORAL_API_KEY: API_KEY };
    expect(temporalOf('{ address: "here:7233" }', env)).toEqual({
      address: 'here:7233',
      namespace: 'default',
    });
  });

  it('says what is wrong without a word of a secret', () => {
    expect(failure('{ environment: true }')).toEqual({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/temporal\.environment: the environment names no Temporal server$/),
    });
    writeFileSync(file, `[profile.prod]\napi_key = ${API_KEY}\n`);
    expect(failure('{ environment: true, profile: prod }').message).toContain(
      'the profile ‘prod’, or a file',
    );
    rmSync(file);
    expect(failure('{ environment: true, profile: prod }').message).toContain('cannot be read');
  });

  it.each([
    ['{}', 'address or environment is missing'],
    ['{ environment: true, address: "a:1" }', 'there is address already'],
    ['{ environment: false }', 'expected true'],
    ['{ environment: true, namespace: n }', 'temporal.namespace: this goes with address only'],
    ['{ address: "a:1", profile: p }', 'temporal.profile: this goes with environment only'],
  ])('%s cannot be', (section, words) => {
    const { code, message } = failure(section);
    expect(code).toBe('CONFIG_INVALID');
    expect(message).toContain(words);
  });
});
