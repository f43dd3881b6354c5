import { type ErrorCode, HubferryError } from '../registry/errors.js';
import { isJsonObject } from '../registry/record.js';
import { textOrNull } from './json.js';
import { scrub } from './scrub.js';

/** Who was asked, and for what. */
export interface StorageCall {
  readonly account: string;
  /** Ends "cannot …": `create container x`. */
  readonly what: string;
  /** The role that the worker's identity needs for it, where it asks under Microsoft Entra ID. */
  readonly role?: string;
}

/** An error that the storage account itself answered with. */
export class StorageAnswerError extends HubferryError {
  /** The HTTP status. */
  readonly status: number;
  /** The service's own name for the fault, such as `BlobNotFound`, or null. */
  readonly serviceCode: string | null;

  constructor(code: ErrorCode, message: string, status: number, serviceCode: string | null) {
    super(code, message);
    this.status = status;
    this.serviceCode = serviceCode;
  }
}

/** The one mapping from errors of `@azure/storage-blob` to our codes. */
export function storageError(call: StorageCall, error: unknown): HubferryError {
  if (error instanceof HubferryError) return error;
  const fault = isJsonObject(error) ? error : {};
  const status = typeof fault['statusCode'] === 'number' ? fault['statusCode'] : null;
  const message = messageOf(error);
  // The first line says it; then come request id and time and, where a signature is wrong, the text that was signed.
  const words = scrub(message.split('\n')[0] ?? '');
  const code = textOrNull(fault['code']);
  const label = code === null ? '' : scrub(code);
  if (status === null) {
    const reason = [label, words].filter((part) => part !== '').join(': ');
    return new HubferryError(
      'STORAGE_UNREACHABLE',
      `${call.account} cannot be reached to ${call.what} (${reason})`,
    );
  }
  const labels = [label, `HTTP ${status}`].filter((part) => part !== '').join(', ');
  const ours = OURS[code ?? ''] ?? codeOfStatus(status);
  const role =
    ours === 'STORAGE_UNAUTHORIZED' && call.role !== undefined
      ? ` The worker’s identity needs the role ${call.role}.`
      : '';
  return new StorageAnswerError(
    ours,
    `${call.account} cannot ${call.what} (${labels})${words === '' ? '' : `: ${words}`}${role}`,
    status,
    code,
  );
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Our own time limits, and a connection that is cut while a body comes in, which the library takes for one of them.
  return error.name === 'AbortError' ? 'cut, or no answer in time' : error.message;
}

const OURS: Readonly<Record<string, ErrorCode>> = {
  ContainerBeingDeleted: 'STORAGE_UNREACHABLE',
  // Another writer has put the blob there meanwhile: what is staged is gone then.
  InvalidBlockList: 'STORAGE_CONTENDED',
};

function codeOfStatus(status: number): ErrorCode {
  // Only reads ask for a version of a blob.
  if (status === 412) return 'STORAGE_CONTENDED';
  if (status === 401 || status === 403) return 'STORAGE_UNAUTHORIZED';
  return status === 408 || status === 429 || status >= 500 ? 'STORAGE_UNREACHABLE' : 'STORAGE_REFUSED';
}

/**
 * The answer of a call, its errors mapped; null for the faults named.
 *
 * @param faults statuses, or codes of the service where a status can mean more than one thing. `HEAD` has no body, so a
 *   code may be missing there.
 */
export async function storageAnswer<T>(
  call: StorageCall,
  run: () => Promise<T>,
  faults: readonly (number | string)[] = [],
): Promise<T | null> {
  try {
    return await run();
  } catch (error) {
    const mapped = storageError(call, error);
    if (!(mapped instanceof StorageAnswerError)) throw mapped;
    if (faults.includes(mapped.status) || faults.includes(mapped.serviceCode ?? '')) return null;
    throw mapped;
  }
}

/** A whole blob as UTF-8; null where reading answers that there is none. */
export async function textOf(read: () => Promise<AsyncIterable<Buffer>>): Promise<string | null> {
  const all: Buffer[] = [];
  try {
    for await (const chunk of await read()) all.push(chunk);
  } catch (error) {
    if (error instanceof StorageAnswerError && error.status === 404) return null;
    throw error;
  }
  return Buffer.concat(all).toString('utf8');
}
