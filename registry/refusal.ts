/** Why a record is refused at plan time, in our own words. No reason ever holds a value of the record. */
const REASONS = {
  ID_CHARACTERS: 'the id holds characters that the service does not allow',
  ID_TOO_LONG: 'the id is longer than 128 characters',
  STATUS_REASON_TOO_LONG: 'the status reason is longer than 128 characters',
  AUTHENTICATION_UNKNOWN: 'the snapshot was taken without keys, and does not tell how it proves who it is',
  AUTHENTICATION_NONE: 'a device needs an authentication other than "none"',
  KEYS_INVALID: 'symmetric keys must be two, each base64 of 16 to 64 bytes',
  THUMBPRINT_INVALID: 'a certificate thumbprint must be hexadecimal digits without separators',
  TAGS_TOO_LARGE: 'the tags are larger than 8 KB',
  DESIRED_TOO_LARGE: 'the desired properties are larger than 32 KB',
  TWIN_KEY_INVALID:
    'a name is longer than 1 KB, or holds a control character, a dot, a dollar sign or a space',
  TWIN_TOO_DEEP: 'objects are nested deeper than 10 levels',
  TWIN_VALUE_TOO_LONG: 'a text is longer than 4 KB',
  TWIN_NUMBER_OUT_OF_RANGE: 'an integer is outside -4503599627370496 to 4503599627370495',
  TWIN_NULL: 'a value is null, which a twin cannot hold',
  PARENT_REFUSED: 'its parent edge device is refused',
  PARENT_CYCLE: 'it is, through its parents, its own parent',
  DEVICE_REFUSED: 'its device is refused',
  DEVICE_MISSING: 'its device is not among the records to move',
  CONFIGURATION_ID_INVALID:
    "a configuration's id must be 1 to 128 lower-case letters, digits and characters of -+%_*!'",
  DEVICE_NOT_EDGE: 'its device is no edge device, and only there can a module be without authentication',
  RECORD_MISSING: 'the hub has no such record',
  RECORD_EXISTS: 'the hub has this record already',
  ETAG_DIFFERS: 'its ETag on the hub is another one than the edit names',
  SYSTEM_MODULE: 'modules of the service itself cannot be edited one by one',
  KEYS_NOT_SYMMETRIC: 'it has no symmetric keys',
  PARENT_UNKNOWN: 'its parent is no edge device of the hub',
  LINE_TOO_LONG: 'its line in the snapshot is longer than maxLineBytes',
} as const satisfies Record<string, string>;

/** The stable code of a refusal. */
export type RefusalCode = keyof typeof REASONS;

/** Why the target would not take one record; the other records go on without it. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly reason: string;
}

/** A record that did not or will not arrive, as reports name it: refused at plan time, or rejected by the hub. */
export interface Rejected {
  readonly record: string;
  readonly code: string;
  readonly reason: string;
}

/** A refusal with its usual reason; `where` narrows it down (a part of the record, or the record that causes it). */
export function refusal(code: RefusalCode, where?: string): Refusal {
  return { code, reason: where === undefined ? REASONS[code] : `${where}: ${REASONS[code]}` };
}

/** Whether a text is the code of a refusal. */
export function isRefusalCode(text: unknown): text is RefusalCode {
  return typeof text === 'string' && Object.hasOwn(REASONS, text);
}
