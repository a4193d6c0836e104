import type { SqlNames } from '../sql-names';

/** One step of the schema: numbered, forward only, every statement safe to run again. */
export interface SchemaMigration {
  readonly version: number;
  readonly name: string;
  readonly up: (names: SqlNames) => readonly string[];
  /** Takes away what `up` has made, and what is in it. */
  readonly down: (names: SqlNames) => readonly string[];
}
