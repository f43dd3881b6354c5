import { isObject, type Json, type JsonObject, setKey } from '../../simulator/json.js';
import { Prng } from '../../simulator/prng.js';
import { router } from '../../simulator/routes/index.js';

/** A request that is bad in some way, mostly. */
export interface FuzzedRequest {
  readonly packets: readonly Buffer[];
  readonly head: boolean;
  /** The sending half must be closed: the request may be shorter than it says. */
  readonly end: boolean;
  /** The bytes are one whole HTTP request, whatever is in it: another one may follow on the connection. */
  readonly framed: boolean;
}

interface Draft {
  method: string;
  path: string;
  query: string[];
  headers: [string, string][];
  body: Buffer | undefined;
}

/** Credentials for the Authorization header. */
export type Credentials = readonly [string, ...string[]];

const outOfScope = /\/(jobs\/v2|digitaltwins|messages|files|methods)\b/;
const served = router.names.filter((name) => !outOfScope.test(name));
const unserved = router.names.filter((name) => outOfScope.test(name));

const goodIds = ['d1', 'd2', 'd2', 'edge', 'off', 'm', 'c1', 'new', "odd-%#?*$'@;,="] as const;
const badIds = ['$edgeAgent', 'a/b', 'ü', '', '__proto__', 'x'.repeat(129)] as const;
const texts = [
  '',
  'x',
  ' ',
  '\u0000',
  '\u{1f4a5}',
  '\ud800',
  '__proto__',
  'constructor',
  '*',
  '"*"',
  'AAAAAAAAAAE=',
  'MQ==',
  '2021-04-12',
  'sas',
  'enabled',
  'updateTwin',
  'not a base64 key',
  'http://127.0.0.1:9/container?sig=x',
  'ftp://127.0.0.1/',
  'x'.repeat(129),
  'x'.repeat(5_000),
] as const;
/** Headers that HTTP itself looks at. */
const framingHeaders: readonly [[string, string], ...[string, string][]] = [
  ['Expect', '100-continue'],
  ['Expect', 'x'],
  ['Connection', 'close'],
  ['Upgrade', 'h2c'],
  ['Transfer-Encoding', 'gzip'],
  ['Host', 'b.localhost'],
  ['Content-Length', '3'],
  ['Content-Length', '-1'],
];
const numbers = [0, -0, 1, -1, 0.5, 1e308, -1e308, 4503599627370496, 9007199254740994, 1e-320] as const;

/** Bad requests, the same for the same seed. */
export class RequestFuzzer {
  readonly #random: Prng;

  /** @param credentials good ones. */
  constructor(
    seed: number,
    readonly credentials: Credentials,
  ) {
    this.#random = new Prng(seed, 'fuzz');
  }

  next(): FuzzedRequest {
    const random = this.#random;
    if (random.chance(0.03)) {
      return { packets: [random.bytes(random.below(300))], head: false, end: true, framed: false };
    }
    const draft = this.#draft();
    for (let count = random.pick([0, 0, 0, 1, 1, 2, 3]); count > 0; count--) this.#mutate(draft);
    return this.#write(draft);
  }

  /** A request that is all right, or nearly so. */
  #draft(): Draft {
    const random = this.#random;
    const names = random.chance(0.9) ? served : unserved;
    const name = names[random.below(names.length)] ?? '';
    const [method = '', pattern = ''] = name.split(' ');
    const ids = random.chance(0.5) ? existing(pattern) : [anyId(random), anyId(random)];
    let used = 0;
    const path = pattern.replaceAll(/\{\w+\}/g, () => encodeURIComponent(ids[used++] ?? ''));
    const body = this.#body(name, ids);
    const headers: [string, string][] = [
      ['Host', random.pick(['a.localhost', 'a.localhost', 'b.localhost'])],
      ['Authorization', random.chance(0.95) ? this.credentials[0] : random.pick(this.credentials)],
    ];
    if (random.chance(method === 'DELETE' ? 0.9 : 0.4)) {
      headers.push(['If-Match', random.pick(['*', '"*"', '"*"', '"MQ=="', 'AAAAAAAAAAE='])]);
    }
    return {
      method,
      path,
      query: ['api-version=2021-04-12'],
      headers,
      body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
    };
  }

  #body(name: string, ids: readonly string[]): Json | undefined {
    const random = this.#random;
    const [method = '', path = ''] = name.split(' ');
    if (method === 'GET' || method === 'DELETE') return undefined;
    const valid = bodies(path, random, ids);
    return random.chance(0.4) ? this.#changed(valid) : valid;
  }

  /** The value with something in it replaced, added or taken away. */
  #changed(value: Json): Json {
    const random = this.#random;
    if (random.chance(0.15)) return this.#value(3);
    if (Array.isArray(value)) {
      if (value.length === 0 || random.chance(0.2)) return [...value, ...value, this.#value(2)];
      const at = random.below(value.length);
      return value.map((one, i) => (i === at ? this.#changed(one) : one));
    }
    if (!isObject(value)) return this.#value(2);
    const keys = Object.keys(value);
    const key = keys[random.below(keys.length)];
    const copy: JsonObject = {};
    for (const [name, one] of Object.entries(value)) {
      if (name !== key || random.chance(0.9)) setKey(copy, name, name === key ? this.#changed(one) : one);
    }
    if (random.chance(0.2)) setKey(copy, random.pick(texts), this.#value(2));
    return copy;
  }

  #value(depth: number): Json {
    const random = this.#random;
    switch (random.below(depth > 0 ? 8 : 4)) {
      case 0:
        return random.pick([null, true, false]);
      case 1:
        return random.pick(numbers);
      case 2:
      case 3:
        return random.pick(texts);
      case 4:
        return Array.from({ length: random.below(4) }, () => this.#value(depth - 1));
      case 5:
        return nested(random.below(100), random.chance(0.5));
      default: {
        const made: JsonObject = {};
        for (let n = random.below(4); n > 0; n--) setKey(made, random.pick(texts), this.#value(depth - 1));
        return made;
      }
    }
  }

  #mutate(draft: Draft): void {
    const random = this.#random;
    const { headers } = draft;
    switch (random.below(14)) {
      case 0:
        draft.path = damaged(Buffer.from(draft.path), random)
          .toString('latin1')
          .replaceAll(/[\r\n ]/g, '%20');
        break;
      case 1:
        draft.path += random.pick([
          '/',
          '//',
          '/..',
          '/%2e%2e',
          '/%00',
          '/%',
          '/%zz',
          '/modules',
          '/\xff',
          '#x',
          '/a b',
        ]);
        break;
      case 2:
        draft.path = random.pick([
          '',
          '*',
          '/',
          `/${'x'.repeat(9_000)}`,
          '/devices/%F0%9F',
          'https://a.localhost/devices',
          'http://',
        ]);
        break;
      case 3:
        draft.query = random.pick([
          [],
          ['api-version='],
          ['api-version=1'],
          ['api-version=2021-04-12', 'api-version=x'],
          ['%E0%A4%A=1'],
        ]);
        break;
      case 4:
        draft.query.push(
          `top=${random.pick(['-1', '0', '1', '1e9', 'x', '', '%00', '99999999999999999999'])}`,
        );
        break;
      case 5:
        draft.method = random.pick([
          'GET',
          'HEAD',
          'OPTIONS',
          'POST',
          'PUT',
          'PATCH',
          'DELETE',
          'TRACE',
          'PURGE',
          'BREW',
          'get',
          '',
        ]);
        break;
      case 6:
        headers[random.below(headers.length)] = [
          random.pick(['Host', 'X', 'Authorization']),
          random.pick(texts),
        ];
        break;
      case 7:
        headers.push([
          random.pick([
            'If-Match',
            'x-ms-max-item-count',
            'x-ms-continuation',
            'Content-Type',
            'Accept-Encoding',
            'Cookie',
          ]),
          random.chance(0.7) ? random.pick(texts) : String(random.pick(numbers)),
        ]);
        break;
      case 8:
        headers.push(random.pick(framingHeaders));
        break;
      case 9: {
        const header = headers.find(([name]) => name === 'Authorization');
        if (header !== undefined) header[1] = damaged(Buffer.from(header[1]), random).toString('latin1');
        break;
      }
      case 10:
        headers.push(['X', random.bytes(random.below(50)).toString('latin1')]);
        break;
      case 11:
        draft.body = random.pick([
          undefined,
          Buffer.alloc(0),
          Buffer.from('{'),
          Buffer.from('[]'),
          Buffer.from('\u{feff}{}'),
          Buffer.from('null'),
          random.bytes(40),
        ]);
        break;
      case 12:
        draft.body = Buffer.from('{"a":'.repeat(random.pick([10, 63, 64, 1_000, 20_000])));
        break;
      default:
        // Not where an address is in it: a damaged one might be somebody's.
        if (draft.body !== undefined && !draft.body.includes('://')) draft.body = damaged(draft.body, random);
    }
  }

  #write({ method, path, query, headers, body }: Draft): FuzzedRequest {
    const random = this.#random;
    const target = query.length === 0 ? path : `${path}?${query.join('&')}`;
    const chunked = body !== undefined && random.chance(0.1);
    const framing: [string, string][] = chunked
      ? [['Transfer-Encoding', 'chunked']]
      : body === undefined
        ? []
        : [['Content-Length', String(body.length)]];
    const lines = [...headers, ...framing].map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const content =
      body === undefined
        ? []
        : chunked
          ? chunks(body, random.chance(0.2) ? 'zz' : body.length.toString(16))
          : [body];
    let bytes = Buffer.concat([
      Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, 'latin1'),
      ...content,
    ]);
    const head = bytes.toString('latin1', 0, 5) === 'HEAD ';
    if (random.chance(0.05)) {
      bytes = bytes.subarray(0, random.below(bytes.length));
      return { packets: [bytes], head, end: true, framed: false };
    }
    const cut = random.below(bytes.length);
    const packets = random.chance(0.1) ? [bytes.subarray(0, cut), bytes.subarray(cut)] : [bytes];
    // Whatever was put into the headers may change where the request ends.
    const framed = headers.every(
      ([name, value]) =>
        /^[\x20-\x7e]*$/.test(value) && !['Content-Length', 'Transfer-Encoding'].includes(name),
    );
    return { packets, head, end: !framed || chunked, framed: framed && !chunked };
  }
}

function chunks(body: Buffer, size: string): Buffer[] {
  return [Buffer.from(`${size}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')];
}

/** Ids of things that are there, for a path. */
function existing(pattern: string): string[] {
  if (pattern.includes('{mid}')) return ['d2', 'm'];
  if (pattern.startsWith('/configurations')) return ['c1'];
  return [pattern.endsWith('/applyConfigurationContent') ? 'edge' : 'd1'];
}

function anyId(random: Prng): string {
  return random.pick(random.chance(0.85) ? goodIds : badIds);
}

/** `{"a":{"a":…}}` or `[[…]]` */
function nested(depth: number, inArrays: boolean): Json {
  let value: Json = 1;
  for (let n = 0; n < depth; n++) value = inArrays ? [value] : { a: value };
  return value;
}

/** The bytes with some of them changed, taken away or doubled. */
function damaged(bytes: Buffer, random: Prng): Buffer {
  const copy = Buffer.from(bytes);
  const at = random.below(copy.length + 1);
  switch (random.below(4)) {
    case 0:
      if (at < copy.length) copy[at] = random.below(256);
      return copy;
    case 1:
      return copy.subarray(0, at);
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(Math.max(0, at - random.below(20)))]);
    default:
      return Buffer.concat([copy.subarray(0, at), random.bytes(random.below(8)), copy.subarray(at)]);
  }
}

/** A good body for a path with these ids in it. */
function bodies(path: string, random: Prng, [first = '', second = '']: readonly string[]): Json {
  const key = random.bytes(32).toString('base64');
  const authentication: Json = random.pick<Json>([
    { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } },
    {
      type: 'selfSigned',
      x509Thumbprint: { primaryThumbprint: 'AB12'.repeat(10), secondaryThumbprint: null },
    },
    { type: 'certificateAuthority' },
  ]);
  const tags: Json = { city: 'Zürich', deep: { list: [1, { a: 'b' }], flag: true } };
  if (path === '/devices') {
    return Array.from({ length: random.pick([0, 1, 2, 101]) }, (_, n) => ({
      id: n === 0 ? first : `bulk-${n}`,
      status: 'enabled',
      importMode: random.pick([
        'create',
        'update',
        'createOrUpdate',
        'delete',
        'updateTwin',
        'deleteIfMatchETag',
      ]),
      eTag: 'MQ==',
      authentication,
      tags,
      properties: { desired: { level: 5 } },
      ...(random.chance(0.3) ? { moduleId: 'm' } : {}),
    }));
  }
  if (path === '/devices/query') return { query: queryText(random) };
  if (path === '/configurations/testQueries') {
    return { targetCondition: queryText(random), customMetricQueries: { m: queryText(random) } };
  }
  if (path.endsWith('/applyConfigurationContent')) {
    return {
      modulesContent: { $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', modules: {} } } },
    };
  }
  if (path.startsWith('/configurations')) {
    return {
      id: first,
      schemaVersion: '1.0',
      labels: { a: 'b' },
      content: random.pick<Json>([
        { deviceContent: { 'properties.desired.level': 7 } },
        { modulesContent: { $edgeAgent: { 'properties.desired': {} } } },
      ]),
      targetCondition: random.pick(['*', '', "tags.city='Zürich'", queryText(random)]),
      priority: 1,
      metrics: { queries: { m: 'SELECT deviceId FROM devices' } },
    };
  }
  if (path.startsWith('/jobs')) {
    return {
      type: random.pick(['export', 'import']),
      inputBlobContainerUri: 'http://127.0.0.1:9/container?sig=x',
      outputBlobContainerUri: 'http://127.0.0.1:9/container?sig=x',
      excludeKeysInExport: true,
      storageAuthenticationType: 'keyBased',
      includeConfigurations: true,
    };
  }
  if (path.startsWith('/twins')) return { tags, properties: { desired: { level: null, deep: tags } } };
  return {
    deviceId: first,
    ...(path.includes('{mid}') ? { moduleId: second, managedBy: 'me' } : { statusReason: 'why' }),
    status: random.pick(['enabled', 'disabled']),
    authentication,
    ...(random.chance(0.3) ? { capabilities: { iotEdge: random.chance(0.5) } } : {}),
    ...(random.chance(0.1) ? { deviceScope: 'ms-azure-iot-edge://edge-1' } : {}),
    ...(random.chance(0.1) ? { parentScopes: ['ms-azure-iot-edge://edge-1'] } : {}),
  };
}

const words = [
  'SELECT',
  '*',
  'deviceId',
  'COUNT()',
  'AS',
  'n',
  'FROM',
  'devices',
  'devices.modules',
  'WHERE',
  'AND',
  'OR',
  'NOT',
  'IN',
  'NIN',
  'ORDER BY',
  'GROUP BY',
  'tags.city',
  "tags['a b']",
  'properties.desired.level',
  'is_defined(tags.city)',
  "startswith(deviceId, 'd')",
  '=',
  '!=',
  '<>',
  '<',
  '>=',
  '+',
  '-',
  '%',
  '(',
  ')',
  '[',
  ']',
  ',',
  '.',
  "'x'",
  "'",
  '"',
  '1',
  '-1.5e3',
  'null',
  'true',
  ';',
  '--',
  '\u0000',
  'é',
] as const;

/** Queries, some of them good. */
function queryText(random: Prng): string {
  const good = random.pick([
    'SELECT * FROM devices',
    "SELECT deviceId, tags.city AS city FROM devices WHERE tags.city = 'Zürich' AND NOT (status = 'enabled' OR deviceId IN ['a', 'b'])",
    'SELECT COUNT() AS n FROM devices WHERE is_defined(properties.desired.level) AND properties.desired.level >= -1.5',
    "SELECT * FROM devices.modules WHERE moduleId != '$edgeAgent'",
  ]);
  switch (random.below(6)) {
    case 0:
      return `SELECT * FROM devices WHERE ${'('.repeat(random.pick([5, 500, 8_000]))}`;
    case 1:
      return `SELECT * FROM devices WHERE ${'NOT '.repeat(random.pick([5, 500, 2_000]))}tags.a = 1`;
    case 2:
      return Array.from({ length: random.below(20) }, () => random.pick(words)).join(' ');
    case 3: {
      const tokens = good.split(' ');
      tokens[random.below(tokens.length)] = random.pick(words);
      return tokens.join(' ');
    }
    case 4:
      return damaged(Buffer.from(good), random).toString('utf8');
    default:
      return good;
  }
}
