import { createRequire } from 'node:module';
import type * as Library from '@azure/storage-blob';

const require = createRequire(import.meta.url);

/** The client of Azure Storage, loaded at its first use: it would be half of the time that a simulator takes to start. */
export function storageLibrary(): typeof Library {
  return require('@azure/storage-blob') as typeof Library;
}

/** What storage refused, and how; undefined for an error of another kind. */
export function storageRefusal(
  error: unknown,
): { readonly statusCode?: number; readonly code?: string } | undefined {
  return error instanceof storageLibrary().RestError ? error : undefined;
}
