import { createRequire } from 'node:module';
import type * as Library from '@azure/storage-blob';

const require = createRequire(import.meta.url);

/** Microsoft's library for blob storage, loaded when it is first asked for: commands that need no storage start sooner. */
export const blobLibrary = (): typeof Library => require('@azure/storage-blob') as typeof Library;
