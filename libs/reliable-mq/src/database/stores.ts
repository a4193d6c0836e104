import type { DataSource } from 'typeorm';
import { InvalidSetupError } from '../event/errors';
import { DatabaseGate } from './database-gate';
import type { OpenDatabase } from './database-kind';
import { databaseFor } from './databases';

/** One DataSource with its outbox and its inbox. */
export interface StoreSet extends OpenDatabase {
  /** Name of the DataSource; `default` for the unnamed one. */
  readonly name: string;
  readonly dataSource: DataSource;
  /** Where work waits while the database is away. */
  readonly gate: DatabaseGate;
}

/** The DataSources that this application shares events from or handles them in; the first is the default one. */
export class Stores {
  readonly all: readonly StoreSet[];
  readonly default: StoreSet;

  constructor(sets: readonly StoreSet[]) {
    const [first] = sets;
    if (!first)
      throw new InvalidSetupError(['ReliableMqModule needs at least one DataSource: dataSources must not be empty.']);
    const names = sets.map(({ name }) => name);
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    if (twice.length > 0)
      throw new InvalidSetupError(twice.map((name) => `ReliableMqModule's dataSources names "${name}" twice.`));
    this.all = sets;
    this.default = first;
  }

  /** @throws InvalidSetupError when there is no DataSource of this name */
  byName(name: string): StoreSet {
    const found = this.find(name);
    if (found) return found;
    throw new InvalidSetupError([
      `DataSource "${name}" is not one of ReliableMqModule's (${this.all.map((set) => `"${set.name}"`).join(', ')}). ` +
        `Add it: ReliableMqModule.forRoot({ dataSources: [… , '${name}'] }).`,
    ]);
  }

  find(name: string): StoreSet | undefined {
    return this.all.find((set) => set.name === name);
  }

  of(dataSource: DataSource): StoreSet | undefined {
    return this.all.find((set) => set.dataSource === dataSource);
  }
}

/** @throws UnsupportedDatabaseError when there is no store for the DataSource's driver */
export function createStoreSet(name: string, dataSource: DataSource): StoreSet {
  const open = databaseFor(dataSource.options.type, name).open(dataSource, name);
  return { name, dataSource, ...open, gate: new DatabaseGate(name, open.database) };
}
