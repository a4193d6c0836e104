import type { DataSource, EntityManager } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import { queryIn } from './sql';

/** What the server itself allows a transaction to be idle, in milliseconds, where that is known; 0: for ever. */
const allowed = new WeakMap<DataSource, number>();

/** @param limitMs `idle_in_transaction_session_timeout` of the DataSource's sessions, in milliseconds; 0: none */
export function knowIdleLimit(dataSource: DataSource, limitMs: number): void {
  allowed.set(dataSource, limitMs);
}

/**
 * Let the server roll the open transaction back, and end its session, when it has waited for a statement for so long. A process that
 * is frozen, or whose machine or network is gone, would hold its locks until TCP gives the connection up, two hours by default; and
 * whoever is given its messages would wait for as long. A shorter limit that the server had when the application started stays.
 * @param limitMs longer than this process itself lets the transaction go on without a statement, in milliseconds
 */
export async function limitIdleTime(manager: EntityManager, limitMs: number): Promise<void> {
  const limit = manager.queryRunner && idleLimitToSet(dataSourceOf(manager.queryRunner), limitMs);
  if (limit) await queryIn(manager, `SET LOCAL idle_in_transaction_session_timeout = ${limit}`);
}

/** The same for a statement that sets it beside its own work. @returns the setting's value; null: the server's own stays */
export function idleLimitToSet(dataSource: DataSource, limitMs: number): string | null {
  const ownMs = allowed.get(dataSource) ?? 0;
  return ownMs > 0 && ownMs <= limitMs ? null : String(Math.ceil(limitMs));
}
