const MASK = '***';

/** Authorization headers: "SharedAccessSignature sr=…&sig=…", "SharedKey account:…", "Bearer …". */
const HEADER = /\b(SharedAccessSignature|SharedKey|Bearer)\s+\S+/gi;

/** Parts of connection strings and SAS tokens, also URL-encoded, up to the next separator. */
const NAMED = /\b((?:Shared(?:Access)?Key|AccountKey|sig)(?:=|%3D)|SharedAccessSignature=)[^\s;&,"'<>\\]+/gi;

/** Members of a record that is echoed back, also when the JSON stands escaped in another JSON text. */
const MEMBER = /((?:primary|secondary)Key\\*"\s*:\s*\\*")[^"\\]+/gi;

/**
 * A run of base64 or base64url characters, also URL-encoded, with its padding. Escapes of JSON come first, so that the
 * letter of one is not taken for the start of a run and torn from its backslash.
 */
const TOKEN = /\\(?:u[0-9a-f]{4}|.)|(?:[A-Za-z0-9+/_-]|%2[BF]){22,}((?:=|%3D){0,2})/gi;

/** Characters of 32 bytes in base64, without padding. */
const LONG = 42;

/**
 * Masks what looks like a credential in a text: keys, SAS signatures, connection strings, authorization headers, and
 * base64 with padding (16 bytes or more) or that looks random (32 bytes or more). File paths, hex digests, ids and host
 * names stay readable, and JSON stays JSON. The one place that knows what a secret looks like.
 */
export function maskSecrets(text: string): string {
  return text
    .replace(HEADER, `$1 ${MASK}`)
    .replace(NAMED, `$1${MASK}`)
    .replace(MEMBER, `$1${MASK}`)
    .replace(TOKEN, (token: string, padding: string | undefined) =>
      padding || (padding === '' && token.length >= LONG && looksRandom(token)) ? MASK : token,
    );
}

/**
 * Base64 of 32 random bytes mixes the cases, and has digits or else changes the case at nearly every other character;
 * paths and ids are nearly all of one case, hex has one case only. The bounds pass less than one key in a thousand, and
 * those end in padding anyway unless they are of 33, 36 … bytes.
 */
function looksRandom(token: string): boolean {
  const share = (pattern: RegExp): number => (token.match(pattern)?.length ?? 0) / token.length;
  const mixed = share(/[A-Z]/g) >= 0.15 && share(/[a-z]/g) >= 0.15;
  return mixed && (/\d/.test(token) || share(/[A-Z](?![A-Z])|[a-z](?![a-z])/g) >= 0.4);
}
