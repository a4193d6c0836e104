import type { DatabaseKind } from '../options';

/** A server of one's own, as production has it: every commit reaches the disk. */
export interface BenchDatabase {
  readonly kind: DatabaseKind;
  readonly version: string;
  readonly pid: number | undefined;
  readonly seed: Seed;
  url(database?: string): string;
  /** A new database with these statements run in it. @returns its url */
  create(name: string, statements: readonly string[]): Promise<string>;
  /** The same where many are made by the same statements. */
  copy(name: string, statements: readonly string[]): Promise<string>;
  drop(name: string): Promise<void>;
  /** @returns the rows of the last statement */
  sql<Row>(url: string, statements: readonly string[]): Promise<Row[]>;
  /** Whatever was written before is on the disk: it is not paid for by what is measured next. */
  settle(): Promise<void>;
  dispose(): Promise<void>;
}

/** Statements that make and fill tables, in the database's own words. */
export interface Seed {
  readonly orders: string;
  /** The outbox of somebody who writes it by hand: as small as it can be and still be drained by several processes. */
  readonly handOutbox: readonly string[];
  readonly handInbox: string;
  readonly stock: readonly string[];
  library(): readonly string[];
  /** Events that were committed and not published. @param isFuture they become due later, when somebody says so */
  pending(count: number, isFuture?: boolean): readonly string[];
  /** The same in the outbox that was written by hand. */
  pendingByHand(count: number): readonly string[];
  /** Events that were consumed long ago, and others whose receipts are awaited later; older than those of `pending`. */
  others(finished: number, future: number): readonly string[];
}
