import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Right, unauthorized } from './rights.js';

/** The shared access policies that every new hub has (§1.5). */
export const policyRights = {
  iothubowner: ['RegistryRead', 'RegistryWrite', 'ServiceConnect', 'DeviceConnect'],
  service: ['ServiceConnect'],
  device: ['DeviceConnect'],
  registryRead: ['RegistryRead'],
  registryReadWrite: ['RegistryRead', 'RegistryWrite'],
} as const satisfies Record<string, readonly Right[]>;

export type PolicyName = keyof typeof policyRights;

export function isPolicyName(name: string): name is PolicyName {
  return Object.hasOwn(policyRights, name);
}

/** One base64 key of 32 bytes per policy; with a seed the same ones at every start, else random. */
export function policyKeys(hub: string, seed: number | undefined): Record<PolicyName, string> {
  const key = (policy: PolicyName): string =>
    seed === undefined
      ? randomBytes(32).toString('base64')
      : createHmac('sha256', `hubferry simulator ${seed}`).update(`${hub}/${policy}`).digest('base64');
  return {
    iothubowner: key('iothubowner'),
    service: key('service'),
    device: key('device'),
    registryRead: key('registryRead'),
    registryReadWrite: key('registryReadWrite'),
  };
}

export interface TokenCheck {
  /** Value of the Authorization header. */
  readonly header: string | undefined;
  readonly keys: Readonly<Record<PolicyName, string>>;
  /** Host names under which the hub answers this request, without port, lower case. */
  readonly hosts: readonly string[];
  /** Path of the request as sent, without query. */
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Verifies a shared access signature: its form, policy, signature, expiry, and that `sr` is a prefix, by path
 * segments, of what is asked for (§1.5). `sr` may be url-encoded or not and may carry a port.
 * @returns the policy that signed.
 * @throws {ServiceError} IotHubUnauthorizedAccess
 */
export function verifyToken(check: TokenCheck): PolicyName {
  const match = /^SharedAccessSignature\s+(.+)$/.exec(check.header ?? '');
  if (match?.[1] === undefined) throw unauthorized();
  const fields = new Map<string, string>();
  for (const part of match[1].split('&')) {
    const equals = part.indexOf('=');
    if (equals > 0) fields.set(part.slice(0, equals).trim(), part.slice(equals + 1));
  }
  const sr = fields.get('sr');
  const sig = decode(fields.get('sig'));
  const se = fields.get('se');
  const skn = decode(fields.get('skn'));
  if (sr === undefined || sig === undefined || se === undefined || skn === undefined) throw unauthorized();
  if (!isPolicyName(skn)) throw unauthorized();
  // The signature covers sr exactly as it was sent, encoded or not.
  const expected = createHmac('sha256', Buffer.from(check.keys[skn], 'base64'))
    .update(`${sr}\n${se}`)
    .digest();
  const given = Buffer.from(sig, 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw unauthorized();
  if (!/^\d+$/.test(se) || Number(se) * 1000 <= check.now) throw unauthorized();
  if (!covers(decode(sr) ?? sr, check)) throw unauthorized();
  return skn;
}

function covers(sr: string, check: TokenCheck): boolean {
  const [authority = '', ...path] = sr.split('/');
  const host = authority.toLowerCase().replace(/:\d+$/, '');
  if (!check.hosts.includes(host)) return false;
  const wanted = path.filter((segment) => segment !== '');
  const asked = check.path.split('/').filter((segment) => segment !== '');
  return wanted.every((segment, i) => segment === asked[i] || segment === decode(asked[i]));
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
