/** Files that are read at a time: each is open meanwhile, and a process may have as few as 256 of them. */
const PARALLEL = 64;

/** What `of` makes of each item, in their order, for some items at a time. Throws what `of` throws first. */
export async function someAtATime<T, R>(items: readonly T[], of: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let begin = 0; begin < items.length; begin += PARALLEL) {
    results.push(...(await Promise.all(items.slice(begin, begin + PARALLEL).map(of))));
  }
  return results;
}
