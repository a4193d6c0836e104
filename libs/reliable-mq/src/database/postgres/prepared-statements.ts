import { createHash } from 'node:crypto';
import { type DataSource, QueryFailedError, type QueryRunner } from 'typeorm';
import { connectionOf } from '../connection-of';
import { dataSourceOf } from '../data-source-of';
import { sqlState } from './database-errors';
import { dismissIfReadOnly } from './read-only-connections';

/** A statement whose text is the same each time, so that a server may keep it prepared: one name for one text. */
export interface NamedStatement {
  readonly text: string;
  readonly name: string;
}

/** @param text of a statement that is made once, not each time */
export function named(text: string): NamedStatement {
  // Below PostgreSQL's 63 characters.
  return { text, name: `reliable_mq_${createHash('sha256').update(text).digest('hex').slice(0, 24)}` };
}

/** DataSources whose connections are known to lead to one server process each. */
const direct = new WeakSet<DataSource>();

export function keepStatementsPrepared(dataSource: DataSource): void {
  direct.add(dataSource);
}

/** False until it is known. */
export function keepsStatementsPrepared(dataSource: DataSource): boolean {
  return direct.has(dataSource);
}

/** What a connection of `pg` takes beside texts. */
interface PreparingClient {
  query(query: PreparedQuery): unknown;
}

/** `pg`'s own class (node-postgres, "Queries"): a plain object with a name would be copied by the descriptors of its properties. */
interface PreparedQuery {
  name?: string;
}

interface PostgresModule {
  readonly Query: new (
    text: string,
    values: readonly unknown[],
    callback: (error: Error | null, result: { readonly rows: unknown[] }) => void,
  ) => PreparedQuery;
}

/** SQLSTATE invalid_sql_statement_name. */
const NOT_PREPARED = '26000';

/**
 * Run a statement that the connection's server parses and plans once. TypeORM has no way to say so, so `pg` is asked itself, on the
 * connection that the query runner gives out; the DataSource's logger is told as TypeORM tells it.
 *
 * Somebody may have made the server forget it (DISCARD, DEALLOCATE). That transaction is lost, and nothing is prepared after it.
 * @throws QueryFailedError as TypeORM does
 */
export function queryPrepared(
  queryRunner: QueryRunner,
  statement: NamedStatement,
  values: readonly unknown[],
): Promise<unknown[]> {
  const connection = connectionOf<PreparingClient>(queryRunner);
  return connection instanceof Promise
    ? connection.then((client) => send(client, queryRunner, statement, values))
    : send(connection, queryRunner, statement, values);
}

function send(
  client: PreparingClient,
  queryRunner: QueryRunner,
  { text, name }: NamedStatement,
  values: readonly unknown[],
): Promise<unknown[]> {
  const dataSource = dataSourceOf(queryRunner);
  const { Query } = (dataSource.driver as unknown as { readonly postgres: PostgresModule }).postgres;
  dataSource.logger.logQuery(text, values as unknown[], queryRunner);
  return new Promise((resolve, reject) => {
    const query = new Query(text, values, (error, result) => {
      if (error) failureOf(error, queryRunner, text, values).then(reject, reject);
      else resolve(result.rows);
    });
    query.name = name;
    client.query(query);
  });
}

async function failureOf(
  error: Error,
  queryRunner: QueryRunner,
  text: string,
  values: readonly unknown[],
): Promise<QueryFailedError> {
  const dataSource = dataSourceOf(queryRunner);
  if (sqlState(error) === NOT_PREPARED) direct.delete(dataSource);
  await dismissIfReadOnly(dataSource, queryRunner, error);
  dataSource.logger.logQueryError(error, text, values as unknown[], queryRunner);
  return new QueryFailedError(text, values as unknown[], error);
}
