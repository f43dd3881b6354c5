let say: (() => void) | null = null;
let tidy: (() => Promise<void>) | null = null;

function leave(): void {
  say?.();
  const end = (): never => process.exit(130);
  if (tidy === null) end();
  else void tidy().then(end, end);
}

/**
 * What Ctrl-C says before it ends the command with 130; each call replaces the one before. One handler from the start
 * of a verb to its end: between two of them a signal would end the process without a word.
 *
 * @param tidying what is to be taken away before the command ends.
 */
export function onInterrupt(words: () => void, tidying: (() => Promise<void>) | null = null): void {
  if (say === null) process.once('SIGINT', leave);
  say = words;
  tidy = tidying;
}

/** From here on there is nothing to say: the command has printed its result. */
export function offInterrupt(): void {
  process.off('SIGINT', leave);
  say = null;
}
