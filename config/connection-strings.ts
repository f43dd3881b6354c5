import { canonicalHost } from './host.js';

/** What is wrong with a connection string, without any part of its values. */
export class ConnectionStringFault extends Error {}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const HOST = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/;

/** `Name=value;…` by lower-case name: Azure's own parsers do not look at the case of names. */
function parts(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of text.split(';').map((item) => item.trim())) {
    if (part === '') continue;
    const at = part.indexOf('=');
    if (at < 1) throw new ConnectionStringFault('one of its parts is not Name=value');
    const name = part.slice(0, at).trim().toLowerCase();
    if (found.has(name)) throw new ConnectionStringFault('one of its parts is there twice');
    found.set(name, part.slice(at + 1).trim());
  }
  if (found.size === 0) throw new ConnectionStringFault('it is empty');
  return found;
}

function need(found: ReadonlyMap<string, string>, name: string): string {
  const value = found.get(name.toLowerCase());
  if (value === undefined || value === '') throw new ConnectionStringFault(`${name} is missing`);
  return value;
}

function needKey(found: ReadonlyMap<string, string>, name: string): string {
  const key = need(found, name);
  if (!BASE64.test(key)) throw new ConnectionStringFault(`${name} is not base64`);
  return key;
}

/** Whether a text is a host name, or host name and port. @param host canonical */
export function isHost(host: string): boolean {
  const port = Number(/:(\d+)$/.exec(host)?.[1] ?? 443);
  return HOST.test(host) && port >= 1 && port <= 65_535;
}

/**
 * Reads a hub's connection string (`HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`).
 *
 * @returns the canonical host, and the connection string in the one spelling that `azure-iothub` reads
 * @throws ConnectionStringFault
 */
export function hubConnection(text: string): { host: string; connectionString: string } {
  const found = parts(text);
  if (found.has('deviceid')) {
    throw new ConnectionStringFault('it is the connection string of a device, not of a hub’s policy');
  }
  const host = canonicalHost(need(found, 'HostName'));
  if (!isHost(host)) throw new ConnectionStringFault('HostName is not a host name, or host name and port');
  const policy = need(found, 'SharedAccessKeyName');
  const key = needKey(found, 'SharedAccessKey');
  return { host, connectionString: `HostName=${host};SharedAccessKeyName=${policy};SharedAccessKey=${key}` };
}

/**
 * Reads a storage account's connection string: account name and key, with or without `BlobEndpoint`, or
 * `UseDevelopmentStorage=true`.
 *
 * @returns the blob endpoint without credentials, and the connection string in the one spelling that
 *   `@azure/storage-blob` reads
 * @throws ConnectionStringFault
 */
export function storageConnection(text: string): { account: string; connectionString: string } {
  const found = parts(text);
  if (found.get('usedevelopmentstorage')?.toLowerCase() === 'true') {
    // The emulator's documented address; its account and key are public constants that the client library knows.
    if (found.has('developmentstorageproxyuri')) {
      throw new ConnectionStringFault(
        'DevelopmentStorageProxyUri is not supported; write BlobEndpoint instead',
      );
    }
    return {
      account: 'http://127.0.0.1:10000/devstoreaccount1',
      connectionString: 'UseDevelopmentStorage=true',
    };
  }
  if (found.has('sharedaccesssignature') && !found.has('accountkey')) {
    throw new ConnectionStringFault(
      'it holds a SharedAccessSignature; hubferry signs access for the hubs’ jobs, for which it needs AccountKey',
    );
  }
  const name = need(found, 'AccountName');
  const key = needKey(found, 'AccountKey');
  const protocol = (found.get('defaultendpointsprotocol') ?? 'https').toLowerCase();
  if (protocol !== 'https' && protocol !== 'http') {
    throw new ConnectionStringFault('DefaultEndpointsProtocol is neither https nor http');
  }
  const suffix = found.get('endpointsuffix') ?? 'core.windows.net';
  const account = blobEndpoint(found.get('blobendpoint') ?? `${protocol}://${name}.blob.${suffix}`);
  return {
    account,
    connectionString: `DefaultEndpointsProtocol=${protocol};AccountName=${name};AccountKey=${key};BlobEndpoint=${account}`,
  };
}

function blobEndpoint(text: string): string {
  const endpoint = readEndpoint(text);
  if (typeof endpoint === 'string') return endpoint;
  throw new ConnectionStringFault(`BlobEndpoint ${endpoint.fault}`);
}

/** A blob endpoint in the one spelling by which workflows know it, or what is wrong with it. */
export function readEndpoint(text: string): string | { readonly fault: string } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { fault: 'is not a URL' };
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { fault: 'is neither https nor http' };
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    return { fault: 'holds more than an address' };
  }
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
}
