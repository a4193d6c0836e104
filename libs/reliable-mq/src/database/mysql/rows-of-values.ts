/**
 * SQL of rows that are made of values, to join a table with: one UPDATE changes many rows, each in its own way.
 * @param columns of each row
 * @returns a derived table with a placeholder for each value
 */
export function rowsOfValues(columns: readonly string[], count: number): string {
  const [first, ...others] = Array.from({ length: count }, () => columns);
  const named = (first ?? []).map((column) => `? AS ${column}`).join(', ');
  const unnamed = columns.map(() => '?').join(', ');
  return `(${[`SELECT ${named}`, ...others.map(() => `SELECT ${unnamed}`)].join(' UNION ALL ')})`;
}

/**
 * The items in runs, in their order, none of which is larger than a statement may be, nor longer than the limit; one item that is larger by itself stands
 * alone.
 */
export function inRuns<Item>(
  items: readonly Item[],
  bytesOf: (item: Item) => number,
  maxBytes: number,
  maxItems = Number.POSITIVE_INFINITY,
): readonly (readonly Item[])[] {
  const runs: Item[][] = [];
  let bytes = 0;
  for (const item of items) {
    const own = bytesOf(item);
    const run = runs.at(-1);
    if (run && run.length < maxItems && bytes + own <= maxBytes) {
      run.push(item);
      bytes += own;
    } else {
      runs.push([item]);
      bytes = own;
    }
  }
  return runs;
}
