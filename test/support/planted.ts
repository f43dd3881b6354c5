/** As it is, URL-encoded, and the base64 of it at any of three offsets (as in a payload that is printed). */
export function disguises(secret: string): string[] {
  const shifted = [0, 1, 2].map((offset) => {
    const text = Buffer.from(`${' '.repeat(offset)}${secret}`).toString('base64');
    // The first and the last characters also depend on what stands around it.
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  const hex = /^[A-Za-z0-9+/]{22,}={0,2}$/.test(secret)
    ? [Buffer.from(secret, 'base64').toString('hex')]
    : [];
  return [...new Set([secret, encodeURIComponent(secret), ...shifted, ...hex])];
}

/** Where secrets (by name) stand in a text, in any disguise: their names and the place, never themselves. */
export function leaksIn(secrets: ReadonlyMap<string, string>, place: string, text: string): string[] {
  return [...secrets].flatMap(([name, secret]) =>
    disguises(secret).some((form) => text.includes(form)) ? [`${name} in ${place}`] : [],
  );
}
