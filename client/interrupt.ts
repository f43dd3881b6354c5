let say: (() => void) | null = null;

function leave(): void {
  say?.();
  process.exit(130);
}

/**
 * What Ctrl-C says before it ends the command with 130; each call replaces the one before. One handler from the start
 * of a verb to its end: between two of them a signal would end the process without a word.
 */
export function onInterrupt(words: () => void): void {
  if (say === null) process.once('SIGINT', leave);
  say = words;
}

/** From here on there is nothing to say: the command has printed its result. */
export function offInterrupt(): void {
  process.off('SIGINT', leave);
  say = null;
}
