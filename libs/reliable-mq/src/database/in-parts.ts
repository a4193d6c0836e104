/**
 * Do work with many items at once; when it is refused, with the two halves of them, so that one item that cannot be taken keeps
 * nobody else's from being done.
 * @param work does nothing when it throws
 * @param isRefused whether an error is about what was asked for, and not about the moment
 * @param onRefused is told of each item that is refused alone
 */
export async function inParts<Item, Result>(
  items: readonly Item[],
  work: (items: readonly Item[]) => Promise<Result>,
  isRefused: (error: unknown) => boolean,
  onRefused: (item: Item, error: unknown) => void,
): Promise<readonly Result[]> {
  const [first, ...others] = items;
  if (first === undefined) return [];
  try {
    return [await work(items)];
  } catch (error) {
    if (!isRefused(error)) throw error;
    if (others.length === 0) {
      onRefused(first, error);
      return [];
    }
  }
  const half = Math.ceil(items.length / 2);
  const done = await inParts(items.slice(0, half), work, isRefused, onRefused);
  return [...done, ...(await inParts(items.slice(half), work, isRefused, onRefused))];
}
