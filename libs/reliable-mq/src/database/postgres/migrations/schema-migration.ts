import type { SqlNames } from '../sql-names';

/** One step of the schema: numbered, forward only, every statement safe to run again. */
export interface SchemaMigration {
  readonly version: number;
  readonly name: string;
  readonly up: (names: SqlNames) => readonly string[];
  /** On tables that may be large: built last, and where they are large beside the application that runs. */
  readonly indexes?: (names: SqlNames) => readonly NewIndex[];
  /** Takes away what `up` has made, and what is in it. */
  readonly down: (names: SqlNames) => readonly string[];
}

/** Names are quoted. */
export interface NewIndex {
  readonly name: string;
  readonly table: string;
  /** Its columns, and which rows are in it. */
  readonly on: string;
}
