/** AES-256: base64 of 32 bytes has 43 characters and one of padding. */
const KEY_TEXT = /^\s*([A-Za-z0-9+/]{43}=)\s*$/;

/** What is said where something else is given. */
export const KEY_WORDS = 'expected base64 of 32 bytes';

/** A key of AES-256 as somebody wrote it, without white space; null where it is no base64 of 32 bytes. */
export function keyText(text: string): string | null {
  return KEY_TEXT.exec(text)?.[1] ?? null;
}
