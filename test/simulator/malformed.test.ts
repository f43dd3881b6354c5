import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { problem } from '../../simulator/traffic/bad-http.js';
import { type RawRequest, sendRaw } from './raw.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ ownPort: 0 });
  stand.hub.load([{ deviceId: 'd' }]);
});
afterAll(() => stand.close());
// Whatever a client does, it is not the simulator's own mistake.
afterEach(() => expect(stand.sim.internalErrors()).toEqual([]));

const host = 'Host: a.localhost\r\n';
const version = 'api-version=2021-04-12';
/** A request line and headers that are all right, with a token. */
const good = (line: string, more = ''): string =>
  `${line} HTTP/1.1\r\n${host}Authorization: ${stand.client.token()}\r\n${more}\r\n`;
const withBody = (line: string, body: string | Buffer, more = ''): (string | Buffer)[] => [
  good(line, `Content-Length: ${Buffer.byteLength(body)}\r\n${more}`),
  body,
];

/** Sends and checks that the answer is an error of the status with the envelope, or nothing more than that. */
async function refused(ask: RawRequest, status: number, code: string): Promise<void> {
  const answer = await sendRaw(stand.sim, ask);
  expect(answer?.status).toBe(status);
  expect(answer?.headers).toMatchObject({
    'iothub-errorcode': code,
    'content-type': 'application/json; charset=utf-8',
    'x-ms-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  if (ask.head === true) return;
  expect(JSON.parse(answer?.text ?? '')).toEqual({
    Message: expect.stringMatching(new RegExp(`^ErrorCode:${code};.`)),
    ExceptionMessage: expect.stringMatching(/^Tracking ID:/),
  });
}

/** The hub goes on as if nothing had been. */
async function isWell(): Promise<void> {
  expect((await stand.client.ask('GET', '/devices/d')).status).toBe(200);
}

describe('what is not HTTP', () => {
  const notHttp: Record<string, readonly (string | Buffer)[]> = {
    'no request line': ['\0\x01\x02 hello\r\n\r\n'],
    'an unknown method': [`BREW /devices HTTP/1.1\r\n${host}\r\n`],
    'an unknown version': [`GET /devices HTTP/9.9\r\n${host}\r\n`],
    'a space in the path': [`GET /devices/a b HTTP/1.1\r\n${host}\r\n`],
    'a header without a colon': [`GET /devices HTTP/1.1\r\n${host}nonsense\r\n\r\n`],
    'a control character in a header': [`GET /devices HTTP/1.1\r\n${host}x: a\x01b\r\n\r\n`],
    'two lengths': [`PUT /devices/x HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`],
    'a length that is none': [`PUT /devices/x HTTP/1.1\r\n${host}Content-Length: abc\r\n\r\n{}`],
    'a length and chunks': [
      `PUT /devices/x HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    ],
    'chunks that are none': [
      `PUT /devices/x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`,
      'zz\r\n{}\r\n',
    ],
    CONNECT: [`CONNECT a.localhost:443 HTTP/1.1\r\n${host}\r\n`],
  };
  it.each(Object.entries(notHttp))('%s: 400 with the envelope', async (_what, packets) => {
    await refused({ packets }, 400, 'GenericBadRequest');
    await isWell();
  });

  it('headers without end: 431 with the envelope', async () => {
    await refused(
      { packets: [good('GET /devices', `x: ${'y'.repeat(20_000)}\r\n`)] },
      431,
      'GenericBadRequest',
    );
    await refused({ packets: [good(`GET /${'y'.repeat(20_000)}`)] }, 431, 'GenericBadRequest');
    await isWell();
  });

  it('an expectation that nobody can meet: 417 with the envelope', async () => {
    const packets = withBody('PUT /devices/x', '{}', 'Expect: miracles\r\n');
    await refused({ packets }, 417, 'GenericBadRequest');
  });

  it('a request that never ends: 408', () => {
    expect(problem('ERR_HTTP_REQUEST_TIMEOUT')[0]).toBe(408);
    expect(problem('HPE_CHUNK_EXTENSIONS_OVERFLOW')[0]).toBe(413);
    expect(problem('ECONNRESET')[0]).toBeUndefined();
  });

  it('bytes that are not TLS: the connection ends, and only that one', async () => {
    const { connect } = await import('node:net');
    await new Promise<void>((resolve, reject) => {
      const socket = connect(stand.sim.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n\r\n'));
      socket.on('close', () => resolve());
      socket.on('error', () => undefined);
      socket.setTimeout(5_000, () => reject(new Error('still open')));
      socket.resume();
    });
    await isWell();
  });

  it('a body that breaks off: nothing is done', async () => {
    const packets = [good('PUT /devices/broken', 'Content-Length: 100\r\n'), '{'];
    // Only its sending half is closed: an answer could still be read.
    await refused({ packets, end: true }, 400, 'GenericBadRequest');
    expect(stand.hub.record('broken')).toBeUndefined();
    await isWell();
  });

  it('bad bytes behind a good request: that one is answered', async () => {
    const answer = await sendRaw(stand.sim, { packets: [good(`GET /devices/d?${version}`), '\0\0\r\n\r\n'] });
    expect([200, 400]).toContain(answer?.status);
    await isWell();
  });
});

describe('requests that are HTTP, but not for a hub', () => {
  it('without Host, with two, or with that of no hub: 400', async () => {
    const token = `Authorization: ${stand.client.token()}\r\n`;
    for (const hosts of [
      '',
      `${host}Host: b.localhost\r\n`,
      'Host: c.localhost\r\n',
      'Host: \r\n',
      'Host: ::\r\n',
    ]) {
      const packets = [`GET /devices/d?${version} HTTP/1.1\r\n${hosts}${token}\r\n`];
      await refused({ packets }, 400, 'GenericBadRequest');
    }
  });

  it('with the whole address in the request line are served, by the host in it', async () => {
    const packets = [
      `GET https://a.localhost/devices/d?${version} HTTP/1.1\r\nHost: elsewhere\r\nAuthorization: ${stand.client.token()}\r\n\r\n`,
    ];
    expect((await sendRaw(stand.sim, { packets }))?.status).toBe(200);
  });

  it('under methods that are not served, and OPTIONS *: 400', async () => {
    for (const line of [
      'TRACE /devices/d',
      'OPTIONS /devices/d',
      'OPTIONS *',
      'PATCH /devices/d',
      'SEARCH /',
    ]) {
      await refused({ packets: [good(line)] }, 400, 'InvalidOperation');
    }
  });

  it('HEAD: the error code without a body', async () => {
    await refused({ packets: [good('HEAD /devices/d')], head: true }, 400, 'InvalidOperation');
  });

  it('that want another protocol are served as they are', async () => {
    const more = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    const answer = await sendRaw(stand.sim, { packets: [good(`GET /devices/d?${version}`, more)] });
    expect(answer?.status).toBe(200);
  });

  it('with Expect: 100-continue are told to go on', async () => {
    const packets = withBody(`PUT /devices/expected?${version}`, '{}', 'Expect: 100-continue\r\n');
    expect((await sendRaw(stand.sim, { packets }))?.status).toBe(200);
  });

  it('with broken percent escapes, or none at all: 400', async () => {
    for (const path of ['/devices/%', '/devices/%zz', '/devices/%c3%28', '/twins/d/modules/%E0%A4%A']) {
      await refused({ packets: [good(`GET ${path}?${version}`)] }, 400, 'ArgumentInvalid');
    }
    for (const path of ['/', '//', '/devices/d/e/f/g', '/devices/a/b', '/%2e%2e/devices']) {
      await refused({ packets: [good(`GET ${path}?${version}`)] }, 400, 'InvalidOperation');
    }
  });

  it('without api-version, or with an odd one: 400', async () => {
    for (const query of [
      '',
      '?',
      '?api-version',
      '?api-version=',
      '?api-version=1',
      '?API-VERSION=2021-04-12',
    ]) {
      await refused({ packets: [good(`GET /devices/d${query}`)] }, 400, 'InvalidProtocolVersion');
    }
    await refused({ packets: [good('GET /devices/d?%E0%A4%A')] }, 400, 'InvalidProtocolVersion');
  });

  it('with twice the same header: the first credentials count', async () => {
    const packets = [good(`GET /devices/d?${version}`, 'Authorization: Bearer x\r\n')];
    expect((await sendRaw(stand.sim, { packets }))?.status).toBe(200);
  });
});

describe('bodies', () => {
  const put = (body: string | Buffer): RawRequest => ({
    packets: withBody(`PUT /devices/x?${version}`, body),
  });
  const patch = (body: string): RawRequest => ({ packets: withBody(`PATCH /twins/d?${version}`, body) });

  it('that are not a JSON object: 400', async () => {
    for (const body of [
      '',
      ' ',
      '{',
      '[]',
      '"x"',
      'null',
      '1',
      '{"a":1}}',
      "{'a':1}",
      '{"a":NaN}',
      '\u{feff}{',
    ]) {
      await refused(put(body), 400, 'IotHubFormatError');
    }
  });

  it('that are not UTF-8: 400, and nothing is guessed', async () => {
    const latin = Buffer.from('{"statusReason":"Z\xfcrich"}', 'latin1');
    await refused(put(latin), 400, 'IotHubFormatError');
    expect(stand.hub.record('x')).toBeUndefined();
  });

  it('that nest without end: 400', async () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
      await refused(put(deep), 400, 'IotHubFormatError');
      await refused(patch(`{"tags":${deep}}`), 400, 'IotHubFormatError');
      await refused(put(open.repeat(100_000)), 400, 'IotHubFormatError');
    }
    const brackets = JSON.stringify({ tags: { text: '[{"'.repeat(500) } });
    expect((await sendRaw(stand.sim, patch(brackets)))?.status).toBe(200);
  });

  it('that are too large: 413, after they were read', async () => {
    const large = JSON.stringify({ statusReason: 'x'.repeat(5 * 1024 * 1024) });
    await refused(put(large), 413, 'MessageTooLarge');
    await isWell();
  });

  it('that go on for ever: 413, and the connection ends', async () => {
    const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`;
    const packets = [
      good(`PUT /devices/x?${version}`, 'Transfer-Encoding: chunked\r\n'),
      ...Array(70).fill(chunk),
    ];
    const answer = await sendRaw(stand.sim, { packets });
    expect(answer?.status).toBe(413);
    expect(answer?.headers).toMatchObject({ connection: 'close' });
    await isWell();
  });

  it('with keys of the language are data like any other', async () => {
    const tags = '{"__proto__":{"polluted":1},"constructor":{"prototype":2},"toString":3,"hasOwnProperty":4}';
    const answer = await sendRaw(stand.sim, patch(`{"__proto__":{"tags":5},"tags":${tags}}`));
    expect(answer?.status).toBe(200);
    expect(JSON.stringify(JSON.parse(answer?.text ?? '').tags)).toContain('"__proto__":{"polluted":1}');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    const read = await stand.client.ask('GET', '/twins/d');
    expect(read.text).toContain('"__proto__":{"polluted":1}');
  });
});

describe('names and ports', () => {
  it('a hub answers as <hub>.localhost, in any case and with any port in the Host header', async () => {
    for (const name of ['a.localhost', 'A.LocalHost', 'a.localhost:1', 'a.localhost.']) {
      const answer = await stand.client.ask('GET', '/devices/d', { headers: { host: name } });
      expect.soft(answer.status, name).toBe(200);
    }
    const other = await stand.client.ask('GET', '/devices/d', {
      headers: { host: 'b.localhost' },
      authorization: `Bearer ${await stand.sim.bearerToken()}`,
    });
    expect(other.status).toBe(404);
  });

  it('a hub with a port of its own answers there to any name', async () => {
    const port = Number(stand.hub.ownHostName?.split(':')[1]);
    const authorization = `Authorization: Bearer ${await stand.sim.bearerToken()}\r\n`;
    for (const name of ['localhost', `localhost:${port}`, '127.0.0.1', 'b.localhost', '[::1]:1']) {
      const packets = [`GET /devices/d?${version} HTTP/1.1\r\nHost: ${name}\r\n${authorization}\r\n`];
      const answer = await sendRaw(stand.sim, { packets }, port);
      expect.soft(answer?.status, name).toBe(200);
    }
    const signed = stand.client.token('service', stand.hub.ownHostName);
    const packets = [
      `GET /twins/d?${version} HTTP/1.1\r\nHost: ${stand.hub.ownHostName}\r\nAuthorization: ${signed}\r\n\r\n`,
    ];
    expect((await sendRaw(stand.sim, { packets }, port))?.status).toBe(200);
  });
});
