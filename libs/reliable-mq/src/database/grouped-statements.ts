import { QueryFailedError, type QueryRunner, QueryRunnerAlreadyReleasedError } from 'typeorm';

/** The parts of a `pg` client that are used here. */
interface PostgresClient {
  query(text: string): Promise<Result | Result[]>;
  /** What the server said last: `I`, `T` or `E` for no transaction, an open one, or a failed one. pg 8.17 and later. */
  getTransactionStatus?(): string | null;
}

interface Result {
  readonly command: string | null;
  readonly rows: unknown[];
}

type Query = QueryRunner['query'];
type Connect = QueryRunner['connect'];

const START = 'START TRANSACTION';
const COMMIT = 'COMMIT';

const groups = new WeakMap<QueryRunner, GroupedStatements>();

/**
 * Sends the statements of this library together with the START TRANSACTION before them, or the COMMIT after them: each pair is
 * one message to the server and one answer, where TypeORM alone would wait four times. They are sent as PostgreSQL's simple
 * query, of which the rest is skipped when one statement fails; so nothing runs outside the transaction.
 *
 * The order of statements stays what it was: what waits for the COMMIT is sent before any other statement that comes first, and
 * dropped by a rollback. START TRANSACTION is sent with the first statement, whosever it is; a transaction without one costs nothing.
 */
class GroupedStatements {
  private startIsDue = false;
  private readonly waiting: string[] = [];

  constructor(
    private readonly queryRunner: QueryRunner,
    private readonly query: Query,
    private readonly connect: Connect,
  ) {}

  /** In the place of the query runner's own `query`. */
  readonly intercept = async (...[sql, ...rest]: Parameters<Query>): Promise<unknown> => {
    if (sql === START) {
      this.startIsDue = true;
      return undefined;
    }
    if (sql === COMMIT) return this.commit(rest);
    if (/^\s*rollback\b/i.test(sql)) {
      this.waiting.length = 0;
      if (this.startIsDue && sql === 'ROLLBACK') {
        this.startIsDue = false;
        return undefined;
      }
    }
    await this.flush();
    return this.query(sql, ...rest);
  };

  /** In the place of the query runner's own `connect`: whoever asks for the connection may send something on it. */
  readonly connectAfterFlush: Connect = async () => {
    await this.flush();
    return this.connection();
  };

  /** The connection, without anything being sent. */
  async connection(): Promise<unknown> {
    return this.connect();
  }

  /** Runs a statement of this library now, after all that waits. */
  async run(text: string): Promise<unknown[]> {
    const texts = [...this.takeStart(), ...this.waiting.splice(0), text];
    return (await this.send(texts)).at(-1)?.rows ?? [];
  }

  /** Runs a statement of this library before the next one, which as a rule is the COMMIT. */
  async runBeforeNext(text: string): Promise<void> {
    if (await this.canWait()) this.waiting.push(text);
    else await this.run(text);
  }

  private async commit(rest: unknown[]): Promise<unknown> {
    const waiting = this.waiting.splice(0);
    if (this.startIsDue && waiting.length === 0) {
      this.startIsDue = false;
      return undefined;
    }
    const status = this.startIsDue ? 'T' : await this.status();
    if (status === 'I') throw new Error('the transaction was ended by SQL of the application');
    // To a failed transaction the server answers COMMIT with ROLLBACK, which TypeORM's own way tells.
    const commitAlone = (): Promise<unknown> =>
      (this.query as (...args: unknown[]) => Promise<unknown>)(COMMIT, ...rest);
    if (status === 'E' || waiting.length === 0) return commitAlone();
    try {
      await this.send([...this.takeStart(), ...waiting, COMMIT]);
    } catch (error) {
      // pg rejects a statement before it has read the transaction's new status: what it tells may be out of date.
      if (!isInFailedTransaction(error)) throw error;
      return commitAlone();
    }
    return undefined;
  }

  private async flush(): Promise<void> {
    const texts = [...this.takeStart(), ...this.waiting.splice(0)];
    if (texts.length > 0) await this.send(texts);
  }

  private takeStart(): string[] {
    if (!this.startIsDue) return [];
    this.startIsDue = false;
    return [START];
  }

  /** A statement that waits for the COMMIT must not meet a connection that is in no transaction any more. */
  private async canWait(): Promise<boolean> {
    const status = await this.status();
    return status === 'T' || (this.startIsDue && status === 'I');
  }

  private async status(): Promise<string | null | undefined> {
    return (await this.client()).getTransactionStatus?.();
  }

  private async client(): Promise<PostgresClient> {
    if (this.queryRunner.isReleased) throw new QueryRunnerAlreadyReleasedError();
    return (await this.connection()) as PostgresClient;
  }

  private async send(texts: readonly string[]): Promise<Result[]> {
    const text = texts.join(';\n');
    const { logger } = this.queryRunner.dataSource;
    const client = await this.client();
    logger.logQuery(text, undefined, this.queryRunner);
    try {
      const result = await client.query(text);
      return Array.isArray(result) ? result : [result];
    } catch (error) {
      logger.logQueryError(error as Error, text, undefined, this.queryRunner);
      throw new QueryFailedError(text, undefined, error as Error);
    }
  }
}

/** SQLSTATE 25P02, in_failed_sql_transaction. */
function isInFailedTransaction(error: unknown): boolean {
  return error instanceof QueryFailedError && (error.driverError as { code?: unknown }).code === '25P02';
}

/** Lets statements of this library share round trips with the transaction's own; for a query runner that nobody else drives. */
export function groupStatements(queryRunner: QueryRunner): void {
  if (groups.has(queryRunner)) return;
  const group = new GroupedStatements(
    queryRunner,
    queryRunner.query.bind(queryRunner) as Query,
    queryRunner.connect.bind(queryRunner) as Connect,
  );
  groups.set(queryRunner, group);
  queryRunner.query = group.intercept as Query;
  queryRunner.connect = group.connectAfterFlush;
}

/** The query runner's connection, without anything being sent on it. */
export async function connectionOf(queryRunner: QueryRunner): Promise<unknown> {
  return groups.get(queryRunner)?.connection() ?? queryRunner.connect();
}

/** @returns undefined for a query runner whose statements are not grouped */
export function groupOf(queryRunner: QueryRunner): Pick<GroupedStatements, 'run' | 'runBeforeNext'> | undefined {
  return groups.get(queryRunner);
}
