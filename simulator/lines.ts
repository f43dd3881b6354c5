import { StringDecoder } from 'node:string_decoder';

/**
 * Splits a stream of UTF-8 bytes into lines at CR, LF or CRLF. Not node:readline: that one also splits at U+2028,
 * which JSON text may hold. A byte order mark is dropped, as are blank lines; the last line needs no end.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array | string>): AsyncIterable<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let first = true;
  for await (const chunk of chunks) {
    let text =
      rest +
      (typeof chunk === 'string'
        ? chunk
        : decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)));
    if (first && text.length > 0) {
      first = false;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    const lines = text.split(/[\r\n]+/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  rest += decoder.end();
  if (rest.trim() !== '') yield rest;
}
