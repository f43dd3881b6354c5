import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { proxyFor } from '../../azure/proxy.js';
import { openStorage } from '../../azure/storage.js';
import { hubAt, json, type Service, startService } from './service.js';

/** A proxy that leads everywhere to one service. */
interface Proxy {
  readonly url: string;
  readonly tunnels: { readonly to: string; readonly authorization: string | undefined }[];
  answer: number;
  close(): Promise<void>;
}

async function startProxy(to: number): Promise<Proxy> {
  const server: Server = createServer((_request, response) => response.writeHead(400).end());
  const proxy: Proxy = { url: '', tunnels: [], answer: 200, close: async () => undefined };
  server.on('connect', (request, socket) => {
    proxy.tunnels.push({ to: request.url ?? '', authorization: request.headers['proxy-authorization'] });
    socket.on('error', () => undefined);
    if (proxy.answer !== 200) {
      socket.end(`HTTP/1.1 ${proxy.answer} No\r\n\r\n`);
      return;
    }
    const upstream = connect(to, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    url: `http://me:s%40cret@127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

let service: Service;
let proxy: Proxy;
beforeAll(async () => {
  service = await startService(['x.azure-devices.net', 'localhost']);
  proxy = await startProxy(service.port);
  service.answer(json(200, { totalDeviceCount: 3 }));
});
afterAll(async () => {
  service.forget();
  await Promise.all([proxy.close(), service.close()]);
});
beforeEach(() => {
  for (const name of ['https_proxy', 'http_proxy', 'all_proxy', 'no_proxy']) {
    vi.stubEnv(name, '');
    vi.stubEnv(name.toUpperCase(), '');
  }
  vi.stubEnv('HTTPS_PROXY', proxy.url);
});
afterEach(() => {
  vi.unstubAllEnvs();
  proxy.tunnels.length = 0;
  proxy.answer = 200;
  service.forget();
});

describe('proxyFor', () => {
  it.each(['localhost:8443', 'old.localhost', '127.0.0.1:10000', '[::1]:443'])(
    '%s is never proxied',
    (host) => {
      expect(proxyFor(new URL(`https://${host}`))).toBeNull();
      expect(proxyFor(new URL(`http://${host}`))).toBeNull();
    },
  );

  it.each([
    ['x.azure-devices.net', true],
    ['azure-devices.net', true],
    ['x.azure-devices.net:8443', true],
    ['.azure-devices.net', true],
    ['*', true],
    ['other.net,x.azure-devices.net:443', false],
  ])('NO_PROXY=%s', (list) => {
    vi.stubEnv('NO_PROXY', list);
    const direct = ['x.azure-devices.net', '.azure-devices.net', '*', 'other.net,x.azure-devices.net:443'];
    expect(proxyFor(new URL('https://x.azure-devices.net')) === null).toBe(direct.includes(list));
  });

  it('does not take nonsense, and does not repeat it', () => {
    for (const nonsense of ['socks5://me:s3cret@p:1', 'http://me:s3cret@p:port']) {
      vi.stubEnv('HTTPS_PROXY', nonsense);
      const find = (): unknown => proxyFor(new URL('https://x.net'));
      expect(find).toThrow(/is not an http or https URL/);
      expect(find).not.toThrow(/s3cret/);
    }
  });
});

describe('a hub behind a proxy', () => {
  it('is reached through a tunnel by both clients, one for each socket', async () => {
    const hub = hubAt('x.azure-devices.net', { ca: service.ca });
    expect(await hub.statistics()).toEqual({ total: 3 });
    await expect(hub.getTwin('d')).resolves.toMatchObject({ totalDeviceCount: 3 });
    expect(proxy.tunnels).toEqual([
      {
        to: 'x.azure-devices.net:443',
        authorization: `Basic ${Buffer.from('me:s@cret').toString('base64')}`,
      },
    ]);
    expect(service.asked).toHaveLength(2);
    expect(service.asked[0]?.headers.host).toBe('x.azure-devices.net');
    hub.close();
  });

  it('keeps its port, and its certificate is looked at', async () => {
    const hub = hubAt('wrong.azure-devices.net:8443', { ca: service.ca });
    await expect(hub.statistics()).rejects.toMatchObject({ code: 'HUB_UNTRUSTED' });
    await expect(hub.getTwin('d')).rejects.toMatchObject({ code: 'HUB_UNTRUSTED' });
    expect(proxy.tunnels.map(({ to }) => to)).toEqual([
      'wrong.azure-devices.net:8443',
      'wrong.azure-devices.net:8443',
    ]);
    hub.close();
  });

  it('says so where the proxy refuses', async () => {
    proxy.answer = 407;
    const hub = hubAt('x.azure-devices.net', { ca: service.ca });
    for (const call of [() => hub.statistics(), () => hub.getTwin('d')]) {
      await expect(call()).rejects.toMatchObject({
        code: 'HUB_UNREACHABLE',
        message: expect.stringMatching(/\(the proxy 127\.0\.0\.1:\d+ answers HTTP 407\)$/),
      });
    }
    vi.stubEnv('HTTPS_PROXY', 'nonsense://p');
    await expect(hub.statistics()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
    hub.close();
  });

  it('is reached directly on this machine', async () => {
    const hub = hubAt(`localhost:${service.port}`, { ca: service.ca });
    expect(await hub.statistics()).toEqual({ total: 3 });
    expect(proxy.tunnels).toEqual([]);
    hub.close();
  });
});

describe('storage behind a proxy', () => {
  const key = Buffer.alloc(32).toString('base64');
  const open = (account: string): ReturnType<typeof openStorage> =>
    openStorage(
      {
        account,
        connectionString: `DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=${key};BlobEndpoint=${account}`,
      },
      { ca: service.ca },
    );

  it('is reached through a tunnel', async () => {
    // The library's tunnel trusts what the process trusts, and so not our service.
    const failed = open('https://acct.blob.core.windows.net').containerExists('x');
    await expect(failed).rejects.toMatchObject({ code: 'STORAGE_UNREACHABLE' });
    expect(new Set(proxy.tunnels.map(({ to }) => to))).toEqual(new Set(['acct.blob.core.windows.net:443']));
    vi.stubEnv('HTTPS_PROXY', 'nonsense://p');
    expect(() => open('https://acct.blob.core.windows.net')).toThrow(
      expect.objectContaining({ code: 'STORAGE_UNREACHABLE' }),
    );
  });

  it('is reached directly on this machine', async () => {
    expect(await open(`https://localhost:${service.port}/acct`).containerExists('x')).toBe(true);
    expect(proxy.tunnels).toEqual([]);
  });
});
