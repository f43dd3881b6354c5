import { createRequire } from 'node:module';
import type * as Library from '@temporalio/client';
import type Protocol from '@temporalio/proto';

const require = createRequire(import.meta.url);

/**
 * Temporal's client library, loaded when it is first asked for: that takes a third of a second of the processor, which
 * help, wrong usage and the report of a run that has ended have no need of. It is what an `import` gives, too.
 */
export const temporal = (): typeof Library => require('@temporalio/client') as typeof Library;

/** The messages between it and a server, likewise. */
export const protocol = (): typeof Protocol => require('@temporalio/proto') as typeof Protocol;
