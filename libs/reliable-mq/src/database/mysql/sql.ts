import { type DataSource, type EntityManager, QueryFailedError, type QueryRunner } from 'typeorm';
import { onOwnConnection as onOwn, STATEMENT_DEADLINE_MS } from '../acquire-query-runner';
import { dataSourceOf } from '../data-source-of';
import { DatabaseDeadlineError } from '../port';
import { connectionOf, destroyConnection, type Field, type MysqlConnection, type StatementResult } from './connection';
import { ErrorNumber, errorNumber, isRetriedAtOnce } from './database-errors';
import { dismissIfReadOnly } from './read-only-connections';
import { noteAnswer, noteFailure } from './transaction-state';

/** What the answer to a statement may take beyond its waiting. */
const ANSWER_MARGIN_MS = 5000;
/** Of what is a transaction of its own. */
const CONFLICT_ATTEMPTS = 5;
/** Bytes that are written into the text of a statement. */
const MAX_BYTES_IN_TEXT = 64 * 1024;
/** Columns that hold bytes; all others are texts, also numbers and moments. */
const BINARY_COLUMNS = new Set(['id', 'run_id', 'claim_token', 'causation_id', 'body', 'body_hash']);

/**
 * Values are put into a statement by `mysql2`: lists as `(?)`, lists of rows as `?`. They are text, numbers, booleans, bytes, null and lists of those; no
 * dates, whose text depends on an option of the connection.
 */
export type Parameters = readonly unknown[];

/**
 * Run one statement on the connection of this query runner, in its transaction if it has one.
 *
 * Not by TypeORM: what `mysql2` makes of a column depends on half a dozen options of the application's connection (`dateStrings`, `bigNumberStrings`,
 * `typeCast`, …), and each statement may say for itself. The DataSource's logger is told as TypeORM tells it.
 * @returns each row's columns as text, and those that hold bytes as bytes
 * @throws QueryFailedError as TypeORM does
 */
export async function queryOn<Row>(queryRunner: QueryRunner, sql: string, parameters: Parameters = []): Promise<Row[]> {
  return (await send(queryRunner, sql, parameters)) as Row[];
}

/** The same for a statement that returns no rows. @returns how many an UPDATE has found, also those that it left as they were */
export async function writeOn(queryRunner: QueryRunner, sql: string, parameters: Parameters = []): Promise<number> {
  const { affectedRows, info } = (await send(queryRunner, sql, parameters)) as StatementResult;
  // `affectedRows` of an UPDATE depends on a flag of the connection (FOUND_ROWS); what the server says in words does not.
  const [matched] = /^UPDATE\b/.test(sql) ? (/\d+/.exec(info) ?? []) : [];
  return Number(matched ?? affectedRows);
}

/** The same, with all that the server answers. */
export async function resultOn(
  queryRunner: QueryRunner,
  sql: string,
  parameters: Parameters = [],
): Promise<StatementResult> {
  return (await send(queryRunner, sql, parameters)) as StatementResult;
}

async function send(queryRunner: QueryRunner, sql: string, parameters: Parameters): Promise<unknown> {
  const { logger } = dataSourceOf(queryRunner);
  const connection = await connectionOf(queryRunner);
  logger.logQuery(sql, [...parameters], queryRunner);
  try {
    const result = await sendOn(connection, sql, parameters);
    noteAnswer(queryRunner, sql, result);
    return result;
  } catch (error) {
    noteFailure(queryRunner, sql, error);
    logger.logQueryError(error as Error, sql, [...parameters], queryRunner);
    await dismissIfReadOnly(dataSourceOf(queryRunner), queryRunner, error);
    throw new QueryFailedError(sql, [...parameters], error as Error);
  }
}

function sendOn(connection: MysqlConnection, sql: string, parameters: Parameters): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const statement = { sql, values: parameters, typeCast, rowsAsArray: false, nestTables: false } as const;
    const done = (error: Error | null, result: unknown): void => (error ? reject(error) : resolve(result));
    if (parameters.some(isLarge)) connection.execute(statement, done);
    else connection.query(statement, done);
  });
}

/** In the text of a statement each byte takes two; a prepared one is sent them as they are. Servers take 16 MiB by default, also for the message of that size. */
function isLarge(value: unknown): boolean {
  return Buffer.isBuffer(value) && value.length > MAX_BYTES_IN_TEXT;
}

function typeCast(field: Field): unknown {
  return BINARY_COLUMNS.has(field.name) ? field.buffer() : field.string('utf8');
}

/** Run one statement in the transaction of this manager. */
export function queryIn<Row>(manager: EntityManager, sql: string, parameters: Parameters = []): Promise<Row[]> {
  return queryOn<Row>(openRunnerOf(manager), sql, parameters);
}

/** As `writeOn`, in the transaction of this manager. */
export function writeIn(manager: EntityManager, sql: string, parameters: Parameters = []): Promise<number> {
  return writeOn(openRunnerOf(manager), sql, parameters);
}

export function openRunnerOf({ queryRunner }: EntityManager): QueryRunner {
  if (!queryRunner) throw new Error('a statement needs the manager of an open transaction');
  return queryRunner;
}

/**
 * Run one statement on a connection of its own, whatever transaction the caller may be in; once more, at once, when something that ran
 * beside it was in its way: it did nothing then.
 * @param deadlineMs for the connection, and then for the answer, in milliseconds
 * @throws NoConnectionError when there is no connection, DatabaseDeadlineError when there is no answer
 */
export function queryAlone<Row>(
  dataSource: DataSource,
  sql: string,
  parameters: Parameters = [],
  deadlineMs: number = STATEMENT_DEADLINE_MS,
): Promise<Row[]> {
  return retrying(() => onOwnConnection(dataSource, (own) => queryOn<Row>(own, sql, parameters), deadlineMs));
}

/** As `writeOn`, on a connection of its own. Its isolation is the session's: only for rows that are named by their primary key. */
export function writeAlone(
  dataSource: DataSource,
  sql: string,
  parameters: Parameters = [],
  deadlineMs: number = STATEMENT_DEADLINE_MS,
): Promise<number> {
  return retrying(() => onOwnConnection(dataSource, (own) => writeOn(own, sql, parameters), deadlineMs));
}

/**
 * Work in a transaction of its own, READ COMMITTED: statements that look for rows by an index lock those alone, and not the gaps between
 * them. Begun again, at once, when something that ran beside it was in its way.
 * @param work with a query runner for `queryOn` and `writeOn`
 */
export function inOwnTransaction<T>(
  dataSource: DataSource,
  work: (queryRunner: QueryRunner) => Promise<T>,
  deadlineMs: number = STATEMENT_DEADLINE_MS,
): Promise<T> {
  return retrying(() => onOwnConnection(dataSource, (own) => transact(own, work), deadlineMs));
}

async function transact<T>(queryRunner: QueryRunner, work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> {
  // By SQL: the application's subscribers have no part in it.
  await writeOn(queryRunner, 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
  await writeOn(queryRunner, 'START TRANSACTION');
  try {
    const result = await work(queryRunner);
    await writeOn(queryRunner, 'COMMIT');
    return result;
  } catch (error) {
    // Whoever gets a connection with an open transaction would go on in it.
    await writeOn(queryRunner, 'ROLLBACK').catch(() => destroyConnection(queryRunner));
    throw error;
  }
}

/**
 * Work that may wait for another transaction's row lock, on a connection of its own. The server itself ends the waiting: closing a
 * connection does not end a statement that waits, and whoever tries it again in time would gather sessions there, until it takes no more.
 * @param waitMs how long, in milliseconds; the server knows whole seconds, and rounds up
 * @throws DatabaseDeadlineError when that was not enough, or there is no answer
 */
export async function waitingAtMost<T>(
  dataSource: DataSource,
  waitMs: number,
  work: (queryRunner: QueryRunner) => Promise<T>,
): Promise<T> {
  const limited = async (own: QueryRunner): Promise<T> => {
    const [before] = await queryOn<{ seconds: string }>(own, 'SELECT @@innodb_lock_wait_timeout AS seconds');
    await writeOn(own, 'SET SESSION innodb_lock_wait_timeout = ?', [Math.max(1, Math.ceil(waitMs / 1000))]);
    try {
      return await work(own);
    } finally {
      const restore = [Number(before?.seconds)];
      await writeOn(own, 'SET SESSION innodb_lock_wait_timeout = ?', restore).catch(() => destroyConnection(own));
    }
  };
  try {
    return await retrying(
      () => onOwnConnection(dataSource, limited, waitMs + ANSWER_MARGIN_MS),
      (error) => errorNumber(error) !== ErrorNumber.LOCK_WAIT_TIMEOUT,
    );
  } catch (error) {
    if (errorNumber(error) !== ErrorNumber.LOCK_WAIT_TIMEOUT) throw error;
    throw new DatabaseDeadlineError(`another transaction has held the row for ${waitMs} ms`, { cause: error });
  }
}

async function retrying<T>(work: () => Promise<T>, isRetried: (error: unknown) => boolean = () => true): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= CONFLICT_ATTEMPTS || !isRetriedAtOnce(error) || !isRetried(error)) throw error;
    }
  }
}

export function onOwnConnection<T>(
  dataSource: DataSource,
  work: (queryRunner: QueryRunner) => Promise<T>,
  deadlineMs: number,
): Promise<T> {
  return onOwn(dataSource, work, deadlineMs, destroyConnection);
}
