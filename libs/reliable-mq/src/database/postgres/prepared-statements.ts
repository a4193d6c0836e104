import { createHash } from 'node:crypto';
import type { DataSource } from 'typeorm';

/** DataSources whose connections are known to lead to one server process each. */
const direct = new WeakSet<DataSource>();

export function keepStatementsPrepared(dataSource: DataSource): void {
  direct.add(dataSource);
}

/** False until it is known. */
export function keepsStatementsPrepared(dataSource: DataSource): boolean {
  return direct.has(dataSource);
}

/** SQLSTATE 26000, invalid_sql_statement_name. */
const NOT_PREPARED = '26000';

/**
 * A statement may have failed because the server did not know it any more: somebody says DISCARD or DEALLOCATE between
 * transactions. That transaction is lost, and no further one will be.
 */
export function learnFromFailure(dataSource: DataSource, error: Error): void {
  if ((error as { readonly code?: unknown }).code === NOT_PREPARED) direct.delete(dataSource);
}

/** One name for one text, below PostgreSQL's 63 characters. */
export function statementName(text: string): string {
  return `reliable_mq_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
}
