import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import { isDeadlock, sqlState } from './database-errors';
import { onOwnConnection as onOwn, STATEMENT_DEADLINE_MS } from '../acquire-query-runner';
import { destroyConnection } from './deadline';
import { DatabaseDeadlineError, DatabaseReadOnlyError } from '../port';
import { dismissIdle, mustTakeWrites } from './read-only-connections';
import { keepsStatementsPrepared, type NamedStatement, queryPrepared } from './prepared-statements';

/** What the answer to a statement may take beyond its waiting. */
const ANSWER_MARGIN_MS = 5000;
/** Of a statement that stands alone, so that each attempt is a transaction of its own. */
const CONFLICT_ATTEMPTS = 5;
/** SQLSTATE lock_not_available: what `lock_timeout` says. */
const LOCK_NOT_AVAILABLE = '55P03';

/** A moment as text that is read back as the same moment under each DateStyle and TimeZone, and sorts in the order of time. */
export function utcText(timestamp: string): string {
  return `to_char(${timestamp} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

/**
 * Run one statement on a connection of its own, whatever transaction the caller may be in; once more, at once, when something that ran
 * beside it was in its way: it did nothing then.
 * @param deadlineMs for the connection, and then for the answer, in milliseconds
 * @throws NoConnectionError when there is no connection, DatabaseDeadlineError when there is no answer
 */
export async function queryAlone<Row>(
  dataSource: DataSource,
  sql: string,
  parameters: readonly unknown[] = [],
  deadlineMs: number = STATEMENT_DEADLINE_MS,
): Promise<Row[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await onOwnConnection(dataSource, (queryRunner) => queryOn<Row>(queryRunner, sql, parameters), deadlineMs);
    } catch (error) {
      if (attempt >= CONFLICT_ATTEMPTS || !isDeadlock(error)) throw error;
    }
  }
}

function onOwnConnection<T>(
  dataSource: DataSource,
  work: (queryRunner: QueryRunner) => Promise<T>,
  deadlineMs: number,
): Promise<T> {
  return onOwn(dataSource, work, deadlineMs, destroyConnection);
}

/**
 * As the source of an INSERT's row: from here on the statement waits for each lock no longer than the parameter says, in
 * milliseconds. Not at the client alone: closing a connection does not end a statement that waits, and whoever tries it again
 * in time would gather sessions at the server, until it takes no more.
 */
export function lockTimeout(parameter: string): string {
  return `(SELECT set_config('lock_timeout', ${parameter}::text, true)) AS limited`;
}

/**
 * Run one statement on a connection of its own that may wait for another transaction. It must begin with `lockTimeout`.
 * @param waitMs how long, in milliseconds
 * @throws DatabaseDeadlineError when that was not enough, or there is no answer
 */
export async function queryWaiting<Row>(
  dataSource: DataSource,
  sql: string,
  parameters: readonly unknown[],
  waitMs: number,
): Promise<Row[]> {
  try {
    return await queryAlone<Row>(dataSource, sql, parameters, waitMs + ANSWER_MARGIN_MS);
  } catch (error) {
    if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
    throw new DatabaseDeadlineError(`another transaction has held the row for ${waitMs} ms`, { cause: error });
  }
}

/**
 * Resolves when the database answers within the deadline, in milliseconds, and takes writes; rejects with the reason otherwise.
 * A connection that was opened before a failover says nothing of those to come: such ones are given up before a second look.
 */
export async function ping(dataSource: DataSource, deadlineMs: number): Promise<void> {
  try {
    await onOwnConnection(dataSource, mustTakeWrites, deadlineMs);
  } catch (error) {
    if (!(error instanceof DatabaseReadOnlyError)) throw error;
    await dismissIdle(dataSource);
    await onOwnConnection(dataSource, mustTakeWrites, deadlineMs);
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

/** Run one statement in the transaction of this manager. A named one is prepared where the connection leads to one server. */
export function queryIn<Row>(
  { queryRunner }: EntityManager,
  sql: string | NamedStatement,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  if (!queryRunner) return Promise.reject(new Error('queryIn needs the manager of an open transaction'));
  if (typeof sql === 'string') return queryOn<Row>(queryRunner, sql, parameters);
  return keepsStatementsPrepared(dataSourceOf(queryRunner))
    ? (queryPrepared(queryRunner, sql, parameters) as Promise<Row[]>)
    : queryOn<Row>(queryRunner, sql.text, parameters);
}
