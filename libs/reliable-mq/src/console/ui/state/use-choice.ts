import { useState } from 'preact/hooks';

/** Rows that are ticked. What is no longer shown is no longer chosen. */
export interface Choice<Row> {
  readonly rows: readonly Row[];
  readonly has: (row: Row) => boolean;
  readonly toggle: (row: Row) => void;
  readonly hasAll: boolean;
  readonly toggleAll: () => void;
  readonly clear: () => void;
}

export function useChoice<Row>(shown: readonly Row[], keyOf: (row: Row) => string): Choice<Row> {
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set());
  const rows = shown.filter((row) => keys.has(keyOf(row)));
  const hasAll = shown.length > 0 && rows.length === shown.length;
  return {
    rows,
    hasAll,
    has: (row) => keys.has(keyOf(row)),
    toggle: (row) => {
      const next = new Set(keys);
      if (!next.delete(keyOf(row))) next.add(keyOf(row));
      setKeys(next);
    },
    toggleAll: () => setKeys(new Set(hasAll ? [] : shown.map(keyOf))),
    clear: () => setKeys(new Set()),
  };
}
