import { createHmac } from 'node:crypto';
import iothub from 'azure-iothub';

/** How long a token is good for, in seconds: one is made for every request, so this only covers clocks that differ. */
const LIFETIME = 3_600;

/** The credentials of a shared access policy of a hub. */
export interface SasCredentials {
  /** With its port, if it has one. */
  readonly host: string;
  readonly policy: string;
  /** Base64; secret. */
  readonly key: string;
}

/** The credentials in a hub's connection string, in the spelling that `config/` gives it. */
export function sasCredentials(connectionString: string): SasCredentials {
  const { HostName, SharedAccessKeyName, SharedAccessKey } = iothub.ConnectionString.parse(connectionString);
  return { host: HostName ?? '', policy: SharedAccessKeyName ?? '', key: SharedAccessKey ?? '' };
}

/**
 * The value of the Authorization header, exactly as Microsoft's client forms it (the resource is not URL-encoded), so
 * that a hub that takes the one takes the other.
 */
export function sasToken({ host, policy, key }: SasCredentials, now: number = Date.now()): string {
  const expiry = Math.ceil(now / 1000) + LIFETIME;
  const signature = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${host}\n${expiry}`)
    .digest('base64');
  return `SharedAccessSignature sr=${host}&sig=${strict(signature)}&skn=${strict(policy)}&se=${expiry}`;
}

/** URL-encoding that covers the characters `encodeURIComponent` leaves alone. */
function strict(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16)}`);
}
