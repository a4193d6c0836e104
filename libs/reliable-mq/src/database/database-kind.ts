import type { DataSource, QueryRunner } from 'typeorm';
import type { InboxStore } from '../inbox/inbox.store';
import type { OutboxStore } from '../outbox/outbox.store';
import type { OperationsStore } from './operations.store';
import type { DatabaseName, DatabasePort } from './port';

/** A kind of database: what the folder of one exports, and `databases.ts` lists. */
export interface DatabaseKind {
  readonly name: DatabaseName;
  /** `type` of the DataSources that it is for. */
  readonly drivers: readonly string[];
  /** @param name of the DataSource, for log lines */
  open(dataSource: DataSource, name: string): OpenDatabase;
  /**
   * All tables as one idempotent script.
   * @param online what may take long is done beside the application that runs, statement by statement, where the database needs that
   */
  schemaScript(schema: string | undefined, prefix: string, online: boolean): string;
  /** Apply the migration of this version, on the query runner, unless the database has it already or there is none. */
  applyMigration(queryRunner: QueryRunner, version: number): Promise<void>;
  /** Take away what it has made, and what is in it. */
  undoMigration(queryRunner: QueryRunner, version: number): Promise<void>;
}

/** One DataSource's database, with the tables in it. */
export interface OpenDatabase {
  readonly outbox: OutboxStore;
  readonly inbox: InboxStore;
  readonly operations: OperationsStore;
  readonly database: DatabasePort;
}
