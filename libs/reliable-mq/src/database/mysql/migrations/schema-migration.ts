import type { Server } from '../server';
import type { SqlNames } from '../sql-names';

/**
 * One step of the schema: numbered as PostgreSQL's of the same shape, forward only. DDL commits by itself, so each statement is safe to run
 * again after any of them.
 */
export interface SchemaMigration {
  readonly version: number;
  readonly name: string;
  readonly up: (names: SqlNames, kind: Server['kind']) => readonly string[];
  /** Takes away what `up` has made, and what is in it. */
  readonly down: (names: SqlNames) => readonly string[];
}

/**
 * Keys are compared byte by byte and to their end: with `utf8mb4_bin`, which pads, an id with a space behind it is the one without, and its message
 * counts as handled. The two products have such a collation under different names.
 */
export function keyCollation(kind: Server['kind']): string {
  return kind === 'mariadb' ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin';
}

/** Behind the columns of each table. */
export function tableOptions(kind: Server['kind']): string {
  return `ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE ${keyCollation(kind)}`;
}
