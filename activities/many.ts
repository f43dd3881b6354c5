/** Pieces of work that are under way at the same time. */
const AT_ONCE = 8;

/**
 * Does the same for many things, some at a time, and begins with no other once one has failed. The results are in the order
 * of the things.
 *
 * @throws the first failure.
 */
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
    try {
      for (let one = await next.next(); one.done !== true; one = await next.next())
        results[one.value.place] = await work(one.value.thing);
    } catch (error) {
      await next.return();
      throw error;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
