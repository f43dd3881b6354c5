import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';
import { isLoopbackHost } from './loopback.js';

/** Milliseconds for a proxy to open a tunnel. */
const TUNNEL_TIMEOUT = 30_000;

/**
 * The proxy that a request has to take, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (also in lower case)
 * of this process; null for none. This machine is always reached directly.
 *
 * @throws ProxyFault where the variable is no URL
 */
export function proxyFor(url: URL): URL | null {
  if (isLoopbackHost(url.host)) return null;
  const proxy = getProxyForUrl(url.href);
  if (proxy === '') return null;
  if (!URL.canParse(proxy) || !/^https?:$/.test(new URL(proxy).protocol)) {
    // Not quoted: it may hold a password.
    throw new ProxyFault('the proxy of the environment (HTTPS_PROXY, ALL_PROXY) is not an http or https URL');
  }
  return new URL(proxy);
}

/** A proxy that does not let us through. The message holds its host, never its credentials. */
export class ProxyFault extends Error {}

/** Opens a tunnel through a proxy. @throws ProxyFault if it refuses or is silent; the socket's own error */
export function tunnel(proxy: URL, host: string, port: number): Promise<Socket> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : proxy.port,
      method: 'CONNECT',
      path: target,
      agent: false,
      timeout: TUNNEL_TIMEOUT,
      headers: { Host: target, ...authorization(proxy) },
    });
    request.once('connect', ({ statusCode }, socket: Socket) => {
      if (statusCode === 200) {
        socket.setTimeout(0);
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(new ProxyFault(`the proxy ${proxy.host} answers HTTP ${statusCode}`));
    });
    // A proxy that takes CONNECT for an ordinary request.
    request.once('response', ({ statusCode }) => {
      request.destroy(new ProxyFault(`the proxy ${proxy.host} answers HTTP ${statusCode}`));
    });
    request.once('timeout', () => {
      request.destroy(new ProxyFault(`the proxy ${proxy.host} was silent for ${TUNNEL_TIMEOUT / 1_000} s`));
    });
    request.once('error', reject);
    request.end();
  });
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}
