import { type ErrorName, ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import type { Authentication } from './records.js';
import { checkId, checkKey, checkStatusReason, checkThumbprint } from './validation.js';

/**
 * What a client wants an identity to be: the common part of a REST body and an import line. `undefined` means that
 * the client said nothing.
 */
export interface WantedIdentity {
  readonly deviceId: string;
  readonly moduleId: string | undefined;
  readonly enabled: boolean;
  readonly statusReason: string | undefined;
  /** Undefined: the hub mints symmetric keys. */
  readonly auth: Authentication | undefined;
  readonly iotEdge: boolean;
  readonly deviceScope: string | undefined;
  readonly parentScopes: readonly string[] | undefined;
  readonly managedBy: string | undefined;
}

/** How `readIdentity` reports a body that is not even of the right shape; the two doors use different codes (§2.2). */
export interface ReadRules {
  readonly shapeError: ErrorName;
  /** Import lines must have a status (§2.2). */
  readonly statusRequired: boolean;
}

export const restRules: ReadRules = { shapeError: 'ArgumentInvalid', statusRequired: false };
export const importRules: ReadRules = { shapeError: 'DeserializationError', statusRequired: true };

/**
 * Reads the identity part of a parsed body. Unknown fields are ignored (§9).
 * @throws {ServiceError} the rules' shape error for wrong types and enums; ArgumentInvalid for wrong values.
 */
export function readIdentity(
  body: JsonObject,
  deviceId: string,
  moduleId: string | undefined,
  rules: ReadRules,
): WantedIdentity {
  const shape = new Shape(body, rules.shapeError);
  const status = shape.text('status')?.toLowerCase();
  if (status === undefined && rules.statusRequired)
    throw shape.error("Required property 'status' not found in JSON.");
  if (status !== undefined && status !== 'enabled' && status !== 'disabled')
    throw shape.error("'status' is invalid.");
  const statusReason = shape.text('statusReason');
  const capabilities = shape.object('capabilities');
  const iotEdge = capabilities === undefined ? undefined : capabilities.iotEdge;
  if (iotEdge !== undefined && iotEdge !== null && typeof iotEdge !== 'boolean') {
    throw shape.error("'capabilities.iotEdge' is not a boolean.");
  }
  const authentication = shape.object('authentication');
  const wanted: WantedIdentity = {
    deviceId,
    moduleId,
    enabled: status !== 'disabled',
    statusReason,
    auth:
      authentication === undefined
        ? undefined
        : readAuthentication(authentication, moduleId !== undefined, rules.shapeError),
    iotEdge: moduleId === undefined && iotEdge === true,
    deviceScope: shape.text('deviceScope'),
    parentScopes: shape.texts('parentScopes'),
    managedBy: shape.text('managedBy'),
  };
  checkId('device', deviceId);
  if (moduleId !== undefined) checkId('module', moduleId);
  if (statusReason !== undefined) checkStatusReason(statusReason);
  return wanted;
}

const typesByLowerCase: ReadonlyMap<string, Authentication['type']> = new Map([
  ['sas', 'sas'],
  ['selfsigned', 'selfSigned'],
  ['certificateauthority', 'certificateAuthority'],
  ['none', 'none'],
]);

function readAuthentication(
  body: JsonObject,
  isModule: boolean,
  shapeError: ErrorName,
): Authentication | undefined {
  const shape = new Shape(body, shapeError);
  const symmetric = shape.object('symmetricKey');
  const thumbprints = shape.object('x509Thumbprint');
  const keys = symmetric === undefined ? undefined : new Shape(symmetric, shapeError);
  const prints = thumbprints === undefined ? undefined : new Shape(thumbprints, shapeError);
  const primaryThumbprint = prints?.text('primaryThumbprint') ?? null;
  const secondaryThumbprint = prints?.text('secondaryThumbprint') ?? null;
  const named = shape.text('type');
  const inferred = (primaryThumbprint ?? secondaryThumbprint) === null ? 'sas' : 'selfSigned';
  const type = named === undefined ? inferred : typesByLowerCase.get(named.toLowerCase());
  if (type === undefined) throw shape.error("'authentication.type' is invalid.");
  if (type === 'certificateAuthority') return { type };
  if (type === 'selfSigned') {
    for (const print of [primaryThumbprint, secondaryThumbprint]) if (print !== null) checkThumbprint(print);
    return { type, primaryThumbprint, secondaryThumbprint };
  }
  if (type === 'none') {
    // Rejected for devices, coerced to sas for modules (§1.7).
    if (!isModule) throw new ServiceError('ArgumentInvalid', "authentication.type 'none' is not allowed.");
    return undefined;
  }
  const primaryKey = keys?.text('primaryKey') ?? '';
  const secondaryKey = keys?.text('secondaryKey') ?? '';
  if (primaryKey === '' && secondaryKey === '') return undefined;
  if (primaryKey === '' || secondaryKey === '') {
    throw new ServiceError('ArgumentInvalid', 'Both symmetric keys are needed, or neither.');
  }
  checkKey(primaryKey);
  checkKey(secondaryKey);
  return { type, primaryKey, secondaryKey };
}

/** Reads typed fields of an object; null counts as absent. */
export class Shape {
  constructor(
    readonly body: JsonObject,
    readonly shapeError: ErrorName,
  ) {}

  error(text: string): ServiceError {
    return new ServiceError(this.shapeError, text);
  }

  text(name: string): string | undefined {
    const value = this.#field(name);
    if (value === undefined || typeof value === 'string') return value;
    throw this.error(`'${name}' is not a string.`);
  }

  object(name: string): JsonObject | undefined {
    const value = this.#field(name);
    if (value === undefined || isObject(value)) return value;
    throw this.error(`'${name}' is not an object.`);
  }

  texts(name: string): string[] | undefined {
    const value = this.#field(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw this.error(`'${name}' is not an array of strings.`);
  }

  #field(name: string): Exclude<Json, null> | undefined {
    const value = Object.hasOwn(this.body, name) ? this.body[name] : undefined;
    return value ?? undefined;
  }
}
