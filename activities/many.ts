/** Pieces of work that are under way at the same time. */
const AT_ONCE = 8;

/** Does the same for many things, some at a time. The results are in the order of the things. */
export async function manyAtOnce<T, R>(
  things: Iterable<T> | AsyncIterable<T>,
  work: (thing: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const next = (async function* () {
    let place = 0;
    for await (const thing of things) yield { thing, place: place++ };
  })();
  const worker = async (): Promise<void> => {
    for (let one = await next.next(); one.done !== true; one = await next.next())
      results[one.value.place] = await work(one.value.thing);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
