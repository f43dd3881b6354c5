import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HubAgent } from '../../azure/agent.js';
import { isLoopbackHost } from '../../azure/connections.js';
import { sasCredentials, sasToken } from '../../azure/sas.js';
import { hubAt, json, PLANTED_KEY, type Service, startService } from './service.js';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
beforeEach(() => service.forget());
afterAll(() => service.close());

const at = (name: string): string => `${name}:${service.port}`;

describe('reading', () => {
  it('keeps a character that straddles two packets whole, wherever it is cut', async () => {
    const twin = { deviceId: 'd', tags: { where: 'Zürich → 東京 🚢' } };
    const body = Buffer.from(JSON.stringify(twin));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    for (let cut = 1; cut < body.length; cut++) {
      service.answer((response) => {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length });
        response.write(body.subarray(0, cut), () => response.end(body.subarray(cut)));
      });
      expect(await hub.getTwin('d')).toEqual(twin);
    }
    hub.close();
  });

  it('sends the version, the authorisation and ids that are decoded once', async () => {
    service.answer(json(200, { deviceId: 'x', moduleId: 'm' }));
    const hub = hubAt(at('hub.localhost'), { ca: service.ca });
    const id = "a%2F#?*$'@;,=:.+_!()";
    await hub.getModule(id, '%25');
    const [asked] = service.asked;
    const url = new URL(asked?.url ?? '', 'https://x');
    expect(url.search).toBe('?api-version=2021-04-12');
    expect(url.pathname.split('/').map(decodeURIComponent)).toEqual(['', 'devices', id, 'modules', '%25']);
    expect(asked?.headers.host).toBe(at('hub.localhost'));
    expect(asked?.headers.authorization).toMatch(
      /^SharedAccessSignature sr=hub\.localhost:\d+&sig=\S+&skn=iothubowner&se=\d+$/,
    );
    hub.close();
  }, 10_000);

  it('follows a query page by page until there is no continuation', async () => {
    const pages = [[{ n: 1 }], [], [{ n: 2 }, { n: 3 }]];
    service.answer((response, request) => {
      const page = service.asked.length - 1;
      const more = page < pages.length - 1 ? { 'x-ms-continuation': `c${page}` } : undefined;
      json(200, pages[page], more)(response, request);
    });
    const hub = hubAt(at('localhost'), { ca: service.ca });
    const seen: unknown[] = [];
    for await (const page of hub.query('SELECT * FROM devices WHERE tags.ü = 1', { pageSize: 2 }))
      seen.push(page);
    expect(seen).toEqual(pages);
    expect(service.asked.map(({ headers }) => headers['x-ms-continuation'])).toEqual([undefined, 'c0', 'c1']);
    expect(service.asked[0]).toMatchObject({
      method: 'POST',
      body: '{"query":"SELECT * FROM devices WHERE tags.ü = 1"}',
      headers: { 'x-ms-max-item-count': '2', 'content-type': 'application/json; charset=utf-8' },
    });
    expect(hub.takeCalls()).toEqual({ jobs: 0, polls: 0, other: 3 });
    expect(service.connections()).toBe(1);
    hub.close();
  });

  it('says so when the answer is not one of a hub', async () => {
    const hub = hubAt(at('localhost'), { ca: service.ca });
    service.answer((response) => response.end('<html>hello</html>'));
    const reads = [hub.getDevice('d'), hub.statistics(), hub.listJobs(), hub.getJob('j'), hub.getTwin('d')];
    for (const answer of await Promise.allSettled(reads)) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'HUB_UNAVAILABLE' } });
    }
    service.answer((response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end('{"jobId":');
    });
    await expect(hub.getJob('j')).rejects.toMatchObject({
      code: 'HUB_UNAVAILABLE',
      message: `${at('localhost')} cannot read job j: its answer is not what an IoT hub sends`,
    });
    hub.close();
  });
});

describe('writing', () => {
  it('quotes the ETag and leaves out what is empty', async () => {
    service.answer(json(200, { deviceId: 'd', etag: 'bmV3' }));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    const device = await hub.getDevice('d');
    if (device === null) throw new Error('no device');
    for (const etag of ['MA==', '"MA=="', '*']) await hub.putDevice(device, etag);
    const puts = service.asked.filter(({ method }) => method === 'PUT');
    expect(puts.map(({ headers }) => headers['if-match'])).toEqual(['"MA=="', '"MA=="', '"*"']);
    expect(JSON.parse(puts[0]?.body ?? '')).toEqual({
      deviceId: 'd',
      etag: 'bmV3',
      generationId: '',
      status: 'enabled',
    });
    hub.close();
  });

  it('does not happen on a hub that is readOnly', async () => {
    const hub = hubAt(at('localhost'), { ca: service.ca, readOnly: true });
    service.answer(json(200, { deviceId: 'd' }));
    const device = await hub.getDevice('d');
    if (device === null) throw new Error('no device');
    const before = service.asked.length;
    const writes = [
      hub.putDevice(device, '*'),
      hub.deleteDevice('d'),
      hub.putConfiguration('c', '{}', null),
      hub.deleteConfiguration('c', '*'),
      hub.createImport('https://a', 'https://b'),
      hub.probeWrite(),
    ];
    for (const answer of await Promise.allSettled(writes)) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'HUB_READ_ONLY' } });
    }
    expect(service.asked.length).toBe(before);
    expect(hub.takeCalls()).toEqual({ jobs: 0, polls: 0, other: 1 });
    hub.close();
  });

  it('a probe that was taken for a create is undone and told', async () => {
    service.answer(json(200, { deviceId: 'd' }));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    await expect(hub.probeWrite()).rejects.toMatchObject({ code: 'HUB_REFUSED' });
    const [put, del] = service.asked;
    expect([put?.method, del?.method]).toEqual(['PUT', 'DELETE']);
    expect(put?.url).toMatch(/^\/devices\/hubferry-probe-/);
    expect(del?.url).toBe(put?.url);
    hub.close();
  });
});

describe('a bad connection', () => {
  it('is waited for so long and no longer, by both clients', async () => {
    service.answer(() => undefined);
    const hub = hubAt(at('localhost'), { ca: service.ca, timeout: 100 });
    const calls = [hub.getDevice('d'), hub.getJob('j'), hub.createExport('https://a', { excludeKeys: true })];
    for (const answer of await Promise.allSettled(calls)) {
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'HUB_UNREACHABLE',
          message: expect.stringContaining('ETIMEDOUT: nothing was heard for 0.1 s'),
        },
      });
    }
    hub.close();
  });

  it('cut before or inside the answer is unreachable', async () => {
    const hub = hubAt(at('localhost'), { ca: service.ca });
    service.answer((response) => response.socket?.destroy());
    await expect(hub.getDevice('d')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    await expect(hub.getJob('d')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    service.answer((response) => {
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 100 });
      response.write('{"deviceId":"', () => response.socket?.destroy());
    });
    await expect(hub.getDevice('d')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    await expect(hub.getJob('d')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    hub.close();
  });

  it('that was kept alive gets the whole time again, though the server announced less', async () => {
    const agent = new HubAgent({ ca: service.ca, timeout: 7_000 });
    service.answer((response) => {
      response.setHeader('Keep-Alive', 'timeout=2');
      response.end();
    });
    const ask = (): Promise<{ reused: boolean; limit: number | undefined }> =>
      new Promise((resolve, reject) => {
        const request = httpsRequest({ host: at('localhost'), agent }, (response) => {
          const limit = response.socket.timeout;
          response.resume().on('end', () => resolve({ reused: request.reusedSocket, limit }));
        });
        request.on('error', reject).end();
      });
    expect(await ask()).toEqual({ reused: false, limit: 7_000 });
    expect(await ask()).toEqual({ reused: true, limit: 7_000 });
    agent.destroy();
  });

  it('that was kept alive and closed meanwhile is replaced for reads', async () => {
    const hub = hubAt(at('localhost'), { ca: service.ca });
    let calls = 0;
    service.answer((response, request) => {
      calls += 1;
      // The second request on a connection finds it closed.
      if (calls === 2) request.socket.destroy();
      else json(200, { deviceId: 'd' })(response, request);
    });
    await hub.getDevice('d');
    expect(await hub.getDevice('d')).toMatchObject({ deviceId: 'd' });
    expect(calls).toBe(3);
    hub.close();
  });

  it('is never a kept-alive one for a new job', async () => {
    service.answer(json(200, { jobId: 'j', type: 'export', status: 'enqueued' }));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    await hub.getJob('j');
    const before = service.connections();
    await hub.createExport('https://a', { excludeKeys: true });
    await hub.createExport('https://a', { excludeKeys: true });
    await hub.getJob('j');
    expect(service.connections()).toBe(before + 2);
    hub.close();
  });

  it('refused', async () => {
    const port = await freePort();
    const hub = hubAt(`localhost:${port}`);
    await expect(hub.getDevice('d')).rejects.toMatchObject({
      code: 'HUB_UNREACHABLE',
      message: expect.stringMatching(/^localhost:\d+ cannot be reached to read device d \(ECONNREFUSED/),
    });
    await expect(hub.statistics()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  });
});

describe('trust', () => {
  it.each(['localhost', 'hub.localhost', '127.0.0.1'])(
    '%s is reached and checked by its name',
    async (name) => {
      service.answer(json(200, { totalDeviceCount: 3, enabledDeviceCount: 2, disabledDeviceCount: 1 }));
      const hub = hubAt(at(name), { ca: service.ca });
      expect(await hub.statistics()).toEqual({ total: 3 });
      hub.close();
    },
  );

  it('is not given to a certificate of somebody else', async () => {
    const hint = expect.stringContaining('NODE_EXTRA_CA_CERTS');
    await expect(hubAt(at('localhost')).getDevice('d')).rejects.toMatchObject({
      code: 'HUB_UNTRUSTED',
      hint,
    });
    await expect(hubAt(at('localhost')).statistics()).rejects.toMatchObject({
      code: 'HUB_UNTRUSTED',
      hint,
    });
    const other = hubAt(at('other.localhost'), { ca: service.ca });
    await expect(other.getDevice('d')).rejects.toMatchObject({
      code: 'HUB_UNTRUSTED',
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
      hint,
    });
    expect(service.asked).toEqual([]);
  });
});

describe('errors of Microsoft’s client', () => {
  it('are mapped by what the hub said, not by the client’s class', async () => {
    service.answer(
      json(
        403,
        { Message: `ErrorCode:JobQuotaExceeded;${PLANTED_KEY}`, ExceptionMessage: '' },
        { 'iothub-errorcode': 'JobQuotaExceeded' },
      ),
    );
    const hub = hubAt(at('localhost'), { ca: service.ca });
    const failed = hub.createImport('https://a?sig=1', 'https://b?sig=2');
    await expect(failed).rejects.toMatchObject({
      code: 'HUB_SLOT_TAKEN',
      status: 403,
      serviceCode: 'JobQuotaExceeded',
    });
    await expect(failed).rejects.not.toThrow(PLANTED_KEY);
    hub.close();
  });

  it('say null for a job that is not there, but not while the hub fails over', async () => {
    const hub = hubAt(at('localhost'), { ca: service.ca });
    service.answer(json(404, { Message: 'ErrorCode:JobNotFound;no' }, { 'iothub-errorcode': 'JobNotFound' }));
    expect(await hub.getJob('j')).toBeNull();
    await hub.cancelJob('j');
    expect(await hub.getDevice('d')).toBeNull();
    service.answer(json(404, { Message: 'ErrorCode:IotHubFailingOver;wait' }));
    await expect(hub.getJob('j')).rejects.toMatchObject({ code: 'HUB_UNAVAILABLE' });
    await expect(hub.getDevice('d')).rejects.toMatchObject({ code: 'HUB_UNAVAILABLE' });
    await expect(hub.listConfigurations()).rejects.toMatchObject({ code: 'HUB_UNAVAILABLE' });
    hub.close();
  });

  it('an answer that is no list of configurations is not taken for one', async () => {
    const hub = hubAt(at('localhost'), { ca: service.ca });
    for (const answer of [{}, [1], [{ id: 'a' }, {}]]) {
      service.answer(json(200, answer));
      await expect(hub.listConfigurations()).rejects.toMatchObject({ code: 'HUB_UNAVAILABLE' });
    }
    hub.close();
  });

  it.each([401, 403, 404, 405, 501])('configurations that answer %d are not offered', async (status) => {
    service.answer(json(status, { Message: 'ErrorCode:Whatever;no' }));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    expect(await hub.listConfigurations()).toBeNull();
    hub.close();
  });
});

describe('jobs', () => {
  it.each([
    ['queued', 'enqueued'],
    ['scheduled', 'enqueued'],
    ['enqueued', 'enqueued'],
    ['running', 'running'],
    ['Completed', 'completed'],
    ['failed', 'failed'],
    ['cancelled', 'cancelled'],
    ['somethingNew', 'unknown'],
  ])('%s is %s', async (status, ours) => {
    service.answer(
      json(200, { jobId: 'j', type: 'import', status, progress: 7, failureReason: `sig=${PLANTED_KEY}` }),
    );
    const hub = hubAt(at('localhost'), { ca: service.ca });
    expect(await hub.getJob('j')).toEqual({
      jobId: 'j',
      type: 'import',
      status: ours,
      progress: 7,
      failureReason: 'sig=***',
    });
    hub.close();
  });

  it('a probe cancels the job of a hub that looks at the container later', async () => {
    service.answer(json(200, { jobId: 'j', type: 'export', status: 'enqueued' }));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    await hub.probeJobs();
    expect(service.asked.map(({ method, url }) => `${method} ${url.split('?')[0]}`)).toEqual([
      'POST /jobs/create',
      'GET /jobs/j',
      'DELETE /jobs/j',
    ]);
    expect(hub.takeCalls()).toEqual({ jobs: 2, polls: 1, other: 0 });
    hub.close();
  });
});

describe('counts', () => {
  it('are kept per view', async () => {
    service.answer(json(200, { jobId: 'j', status: 'running' }));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    const view = hub.view();
    await Promise.all([hub.getJob('j'), view.getJob('j'), view.getJob('j')]);
    expect(hub.takeCalls()).toEqual({ jobs: 0, polls: 1, other: 0 });
    expect(view.takeCalls()).toEqual({ jobs: 0, polls: 2, other: 0 });
    expect(view.takeCalls()).toEqual({ jobs: 0, polls: 0, other: 0 });
    hub.close();
  });
});

describe('the token', () => {
  it('is the one that Microsoft’s client makes', async () => {
    service.answer(json(200, []));
    const hub = hubAt(at('localhost'), { ca: service.ca });
    await hub.listJobs();
    const theirs = service.asked[0]?.headers.authorization ?? '';
    const expiry = Number(/se=(\d+)/.exec(theirs)?.[1]);
    const credentials = sasCredentials(
      `HostName=${at('localhost')};SharedAccessKeyName=iothubowner;SharedAccessKey=${PLANTED_KEY}`,
    );
    expect(sasToken(credentials, (expiry - 3_600) * 1_000)).toBe(theirs);
    hub.close();
  });
});

describe('isLoopbackHost', () => {
  it.each([
    'localhost',
    'LOCALHOST:8443',
    'a.localhost',
    'a.b.localhost.',
    '127.0.0.1',
    '127.8.8.8:1',
    '[::1]:443',
    '::1',
  ])('%s is', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });

  it.each([
    'localhost.example',
    'mylocalhost',
    '127.0.0.1.example',
    '128.0.0.1',
    'azurite:10000',
    '[::2]',
    '',
  ])('%s is not', (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
