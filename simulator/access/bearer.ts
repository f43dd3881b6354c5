import { createHmac, randomBytes } from 'node:crypto';
import { type DataAction, unauthorized } from './rights.js';
import { isDataAction, isRoleName, type RoleName, roleActions } from './roles.js';

/** For whom the service wants tokens of Microsoft Entra ID to be made (§1.5). */
const audience = 'https://iothubs.azure.net';
const algorithm = 'HS256';

/** What a token shall say. */
export interface TokenAsk {
  /** Default: IoT Hub Data Contributor, unless `actions` are given. */
  readonly roles?: readonly RoleName[];
  readonly actions?: readonly DataAction[];
  /** Seconds until it expires; default 3600. Less than 0: it has expired. */
  readonly expiresIn?: number;
  /** Seconds until it becomes valid; default 0. */
  readonly notBefore?: number;
  /** Default `https://iothubs.azure.net`. */
  readonly audience?: string;
}

/**
 * Bearer tokens in the manner of Microsoft Entra ID: JSON web tokens whose key only this simulator has. To clients they
 * are opaque, so that it does not matter that the real ones are signed by another algorithm.
 */
export class BearerTokens {
  readonly #key: Uint8Array;

  /** @param seed the same key at every start; left out: a random one. */
  constructor(seed: number | undefined) {
    this.#key =
      seed === undefined
        ? randomBytes(32)
        : createHmac('sha256', `hubferry simulator ${seed}`).update('bearer tokens').digest();
  }

  async issue(ask: TokenAsk = {}): Promise<string> {
    const { SignJWT } = await import('jose');
    const { actions, expiresIn = 3600, notBefore = 0 } = ask;
    const roles = ask.roles ?? (actions === undefined ? ['IoT Hub Data Contributor'] : []);
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ roles, ...(actions === undefined ? {} : { actions }) })
      .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
      .setIssuer('urn:hubferry:simulator')
      .setAudience(ask.audience ?? audience)
      .setIssuedAt(now)
      .setNotBefore(now + notBefore)
      .setExpirationTime(now + expiresIn)
      .sign(this.#key);
  }

  /**
   * Checks key, audience, and validity by the machine's clock, since clients look at theirs.
   * @returns what the token allows; roles and actions that do not exist are passed over.
   * @throws {ServiceError} IotHubUnauthorizedAccess
   */
  async verify(token: string): Promise<readonly DataAction[]> {
    const { jwtVerify } = await import('jose');
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: [algorithm],
        audience: [audience, `${audience}/`],
        requiredClaims: ['exp'],
      });
      const roles = texts(payload.roles).filter(isRoleName);
      return [...roles.flatMap((role) => roleActions[role]), ...texts(payload.actions).filter(isDataAction)];
    } catch {
      throw unauthorized();
    }
  }
}

function texts(claim: unknown): string[] {
  return Array.isArray(claim) ? claim.filter((one) => typeof one === 'string') : [];
}

/**
 * Checks what somebody asked for through the admin port.
 * @throws {TypeError} that says what is wrong.
 */
export function checkTokenAsk(value: Readonly<Record<string, unknown>>): TokenAsk {
  const known = ['roles', 'actions', 'expiresIn', 'notBefore', 'audience'];
  for (const [name, given] of Object.entries(value)) {
    if (!known.includes(name)) throw new TypeError(`token: unknown '${name}'; known are ${known.join(', ')}`);
    if (name === 'audience') {
      if (typeof given !== 'string') throw new TypeError("token: 'audience' must be text");
    } else if (name === 'roles' || name === 'actions') {
      const fits = name === 'roles' ? isRoleName : isDataAction;
      if (!Array.isArray(given) || !given.every((one) => typeof one === 'string' && fits(one))) {
        throw new TypeError(`token: '${name}' must be an array of names that exist`);
      }
    } else if (!Number.isSafeInteger(given)) {
      throw new TypeError(`token: '${name}' must be a whole number of seconds`);
    }
  }
  return value;
}
