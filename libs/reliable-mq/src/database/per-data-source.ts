import type { StoreSet } from './stores';

/** One value for each DataSource, made when it is first asked for. */
export class PerDataSource<T> {
  private readonly values = new Map<StoreSet, T>();

  constructor(private readonly create: (set: StoreSet) => T) {}

  of(set: StoreSet): T {
    let value = this.values.get(set);
    if (value === undefined) this.values.set(set, (value = this.create(set)));
    return value;
  }

  /** Those that were asked for. */
  all(): readonly T[] {
    return [...this.values.values()];
  }
}
