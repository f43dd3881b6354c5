import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { canonicalHost, configJsonSchema, loadConfig, parseDuration } from '../../config/index.js';

describe('canonicalHost', () => {
  it.each([
    ['Hub.Azure-Devices.NET', 'hub.azure-devices.net'],
    ['hub.azure-devices.net.', 'hub.azure-devices.net'],
    ['hub.azure-devices.net:443', 'hub.azure-devices.net'],
    ['hub.azure-devices.net.:443', 'hub.azure-devices.net'],
    ['hub.azure-devices.net:0443', 'hub.azure-devices.net'],
    [' hub.azure-devices.net ', 'hub.azure-devices.net'],
    ['localhost:8443', 'localhost:8443'],
    ['LOCALHOST.:08443', 'localhost:8443'],
    ['127.0.0.1:4430', '127.0.0.1:4430'],
  ])('%s is %s', (written, canonical) => {
    expect(canonicalHost(written)).toBe(canonical);
    expect(canonicalHost(canonical)).toBe(canonical);
  });
});

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['0s', 0],
    ['30s', 30_000],
    ['15m', 900_000],
    ['12h', 43_200_000],
    ['1d', 86_400_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '5', 's', '1.5s', '-1s', '1 s', '1S', '1w', '1h30m', '12345678901s'])('%s is none', (text) => {
    expect(() => parseDuration(text)).toThrow(RangeError);
  });
});

describe('hubferry.example.yaml', () => {
  const path = new URL('../../hubferry.example.yaml', import.meta.url).pathname;
  const text = readFileSync(path, 'utf8');

  it('is a good configuration for who has two hubs and storage, and states the defaults', () => {
    const key = 'c2VjcmV0';
    const hub = (name: string): string =>
      `HostName=${name}.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`;
    const env = {
      OLD_HUB: hub('old'),
      NEW_HUB: hub('new'),
      STORAGE: `AccountName=acct;AccountKey=${key}`,
    };
    const config = loadConfig({ path, env });
    const bare = loadConfig({ path: new URL('fixtures/bare.yaml', import.meta.url).pathname, env });
    expect(config.settings).toEqual(bare.settings);
  });

  it('shows every key of the schema', () => {
    const commented =
      /^( *)# ((?:temporal|scratch|entra|identity|accountUrl|container|metricsPort|keys|keyId):|(?:  )+[a-z][a-zA-Z0-9]*:)/gm;
    const written = keysOf(parse(text.replace(commented, '$1$2')));
    expect(written).toContain('role');
    expect([...schemaKeys(configJsonSchema())].filter((key) => !written.has(key))).toEqual([]);
  });
});

describe('configJsonSchema', () => {
  it('describes what is written, not what it becomes', () => {
    const schema = JSON.stringify(configJsonSchema());
    expect(JSON.parse(schema)).toMatchObject({
      type: 'object',
      required: ['hubs'],
      additionalProperties: false,
      properties: { settings: { properties: { settle: { type: 'string', default: '30s' } } } },
    });
  });
});

/** All member names, at any depth; those below `hubs` are aliases and are left out. */
function keysOf(value: unknown, below?: string): Set<string> {
  if (typeof value !== 'object' || value === null) return new Set();
  return new Set(
    Object.entries(value).flatMap(([key, item]) => [
      ...(below === 'hubs' ? [] : [key]),
      ...keysOf(item, key),
    ]),
  );
}

/** All property names of a JSON schema. */
function schemaKeys(schema: unknown): Set<string> {
  if (typeof schema !== 'object' || schema === null) return new Set();
  return new Set(
    Object.entries(schema).flatMap(([key, item]) => [
      ...(key === 'properties' && typeof item === 'object' && item !== null ? Object.keys(item) : []),
      ...schemaKeys(item),
    ]),
  );
}
