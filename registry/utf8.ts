/**
 * The bytes of a text in UTF-8 as the service counts a twin's size: control characters (C0 and C1) count nothing
 * (facts §5, size computation). A lone surrogate counts three, like the replacement character it becomes.
 */
export function countedBytes(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isControl(code)) continue;
    if (code < 0x80) bytes += 1;
    else if (code < 0x800) bytes += 2;
    else if (isPair(code, text.charCodeAt(at + 1))) {
      bytes += 4;
      at += 1;
    } else bytes += 3;
  }
  return bytes;
}

/** Whether a UTF-16 unit is a control character of the sets C0 or C1. */
export function isControl(code: number): boolean {
  return code < 0x20 || (code >= 0x80 && code < 0xa0);
}

function isPair(high: number, low: number): boolean {
  return high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000;
}
