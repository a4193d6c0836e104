import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import {
  acquireQueryRunner,
  DatabaseDeadlineError,
  destroyConnection,
  STATEMENT_DEADLINE_MS,
  within,
} from './deadline';

/**
 * Run one statement on a connection of its own, whatever transaction the caller may be in. A connection that does not answer
 * in time is closed, so that a half-open one can't stop a job forever.
 */
export async function queryAlone<Row>(
  dataSource: DataSource,
  sql: string,
  parameters: readonly unknown[] = [],
  deadlineMs: number = STATEMENT_DEADLINE_MS,
): Promise<Row[]> {
  const queryRunner = await acquireQueryRunner(dataSource, deadlineMs);
  try {
    return await within(
      deadlineMs,
      queryOn<Row>(queryRunner, sql, parameters),
      () => new DatabaseDeadlineError(`the database did not answer within ${deadlineMs} ms`),
    );
  } catch (error) {
    if (error instanceof DatabaseDeadlineError) await destroyConnection(queryRunner, error);
    throw error;
  } finally {
    await queryRunner.release();
  }
}

/** Run one statement on the connection of this query runner, in its transaction if it has one. */
export async function queryOn<Row>(
  queryRunner: QueryRunner,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  const result = await queryRunner.query(sql, [...parameters], true);
  return result.records as Row[];
}

/** Run one statement in the transaction of this manager. */
export async function queryIn<Row>(
  manager: EntityManager,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  if (!manager.queryRunner) throw new Error('queryIn needs the manager of an open transaction');
  return queryOn<Row>(manager.queryRunner, sql, parameters);
}

/** The table's name as SQL, in the schema that the DataSource is configured with. */
export function qualifiedTable(dataSource: DataSource, table: string): string {
  const schema = (dataSource.options as { schema?: string }).schema;
  return schema ? `"${schema.replaceAll('"', '""')}"."${table}"` : `"${table}"`;
}
