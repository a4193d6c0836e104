import type { DataSource } from 'typeorm';
import { InvalidSetupError, UnsupportedDatabaseError } from '../event/errors';
import type { InboxStore } from '../inbox/inbox.store';
import { PostgresInboxStore } from './postgres/postgres-inbox.store';
import { DatabaseGate } from './database-gate';
import type { DatabasePort } from './port';
import { PostgresDatabase } from './postgres/postgres-database';
import type { OperationsStore } from './operations.store';
import { PostgresOperationsStore } from './postgres/postgres-operations.store';
import type { OutboxStore } from '../outbox/outbox.store';
import { PostgresOutboxStore } from './postgres/postgres-outbox.store';

/** One DataSource with its outbox and its inbox. */
export interface StoreSet {
  /** Name of the DataSource; `default` for the unnamed one. */
  readonly name: string;
  readonly dataSource: DataSource;
  readonly outbox: OutboxStore;
  readonly inbox: InboxStore;
  readonly operations: OperationsStore;
  readonly database: DatabasePort;
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
  const driver = dataSource.options.type;
  if (driver !== 'postgres') throw new UnsupportedDatabaseError(driver, name);
  const database = new PostgresDatabase(dataSource);
  return {
    name,
    dataSource,
    outbox: new PostgresOutboxStore(dataSource),
    inbox: new PostgresInboxStore(dataSource),
    operations: new PostgresOperationsStore(dataSource),
    database,
    gate: new DatabaseGate(name, database),
  };
}
