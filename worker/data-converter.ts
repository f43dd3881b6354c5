import type { DataConverter } from '@temporalio/common';
import type { KeyRing } from '../azure/key-ring.js';
import { modulePath } from './entry.js';
import { blindCodec, payloadCodec } from './payload-codec.js';

/** How failures are written where payloads are sealed: a module, since Temporal takes it by its path. */
export const SEALED_FAILURES = modulePath('./sealed-failures', 'c');

/**
 * How workers and commands write into a Temporal server, and read from it. With a key that seals, the words of failures
 * are payloads, too; what failed (our code) stays readable.
 */
export function dataConverterOf(ring: KeyRing): DataConverter {
  const payloadCodecs = [payloadCodec(ring)];
  if (ring.current === null) return { payloadCodecs };
  return { payloadCodecs, failureConverterPath: SEALED_FAILURES };
}

/** For those who know no configuration, and read no payload. */
export const BLIND: DataConverter = { payloadCodecs: [blindCodec] };
