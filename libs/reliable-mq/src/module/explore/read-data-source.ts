import type { OptionReader } from '../../input/option-reader';
import type { StoreSet, Stores } from '../../database/stores';

/** The DataSource that a decorator's option `dataSource` names; the default one without it, or when there is none of the name. */
export function readDataSource(reader: OptionReader, stores: Stores, problems: string[]): StoreSet {
  const name = reader.raw('dataSource');
  if (name === undefined) return stores.default;
  const set = typeof name === 'string' ? stores.find(name) : undefined;
  if (!set) {
    const names = stores.all.map((each) => `"${each.name}"`).join(', ');
    problems.push(`dataSource ${JSON.stringify(name)} is not one of the module's (${names}).`);
  }
  return set ?? stores.default;
}
