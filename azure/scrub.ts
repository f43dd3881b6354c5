import { maskSecrets } from '../registry/secrets.js';

/**
 * What a service or a library said, fit for a message or a log: without keys, SAS tokens, connection strings and line
 * breaks, and not longer than 400 characters. Everything from outside goes through here before it enters an error.
 */
export function scrub(text: string): string {
  const clean = maskSecrets(text)
    // oxlint-disable-next-line no-control-regex -- a terminal must not obey what a service says
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim();
  return clean.length > MAX_LENGTH ? `${clean.slice(0, MAX_LENGTH)}…` : clean;
}

const MAX_LENGTH = 400;
