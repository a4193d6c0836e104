import { QueryFailedError, type QueryRunner, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { TransactionAbortedError } from '../../event/errors';
import {
  type AnyStatement,
  canGroup,
  GroupFailure,
  type PostgresClient,
  type Result,
  sendGroup,
  type Statement,
  transactionStatus,
} from './grouped-query';
import { keepsStatementsPrepared, learnFromFailure } from './prepared-statements';
import { UnsentStatements } from './unsent-statements';

type Query = QueryRunner['query'];
type Connect = QueryRunner['connect'];

const START: Statement = { text: 'START TRANSACTION', name: 'reliable_mq_start' };
const COMMIT: Statement = { text: 'COMMIT', name: 'reliable_mq_commit' };
const ROLLBACK = 'ROLLBACK';
const ANY_ROLLBACK = /^\s*rollback\b/i;
/** What TypeORM sends around transactions and nested ones, beside those above. */
const CONTROL = /^(SET TRANSACTION ISOLATION LEVEL [A-Z ]+|(RELEASE )?SAVEPOINT typeorm_\d+)$/;
const RELEASE = 'RELEASE ';
const ROLLBACK_TO = 'ROLLBACK TO ';
/** So many statements do not wait for one more: COMMIT has a deadline, and memory an end. */
const MAX_WAITING = 100;

const groups = new WeakMap<QueryRunner, GroupedStatements>();

/**
 * Statements without a result of their own wait for the next one and are sent together with it: START TRANSACTION, TypeORM's
 * savepoints, and the INSERTs of events, which as a rule meet the COMMIT. A group is one message to the server and one answer,
 * where TypeORM alone would wait for each statement (grouped-query.ts).
 *
 * The order of statements stays what it was. START TRANSACTION is sent with the first statement, whosever it is; the others wait
 * until the server has begun the transaction, and fail if it has not. A transaction without a statement costs nothing.
 */
class GroupedStatements {
  private readonly waiting: Statement[] = [];
  /** While START TRANSACTION is on its way, or statements go one by one. Never rejects. */
  private starting: Promise<void> | undefined;
  private startFailure: Error | undefined;
  private readonly unsent = new UnsentStatements();
  /** TypeORM asks for its connection to send a statement on it; to be called when it is sent. */
  private asking: (() => void) | undefined;
  private client: PostgresClient | undefined;
  private hasSent = false;

  constructor(
    private readonly queryRunner: QueryRunner,
    private readonly query: Query,
    private readonly connect: Connect,
  ) {}

  /** In the place of the query runner's own `query`. */
  readonly intercept = (...args: Parameters<Query>): Promise<unknown> => {
    const [sql] = args;
    if (sql === START.text) return this.begin();
    if (sql === COMMIT.text) return this.commit(args);
    if (ANY_ROLLBACK.test(sql)) return this.rollBack(sql, args);
    if (CONTROL.test(sql) && this.canWait) return this.wait(sql);
    return this.passOn(args);
  };

  /** In the place of the query runner's own `connect`: whoever asks for the connection may send something on it. */
  readonly connectAfterFlush: Connect = async () => {
    const { asking } = this;
    if (!asking) return this.unsent.track(async () => this.flush(await this.connection()));
    const client = this.connected ?? (await this.connection());
    return { query: (text: string, values?: unknown[]) => this.send(client, { text, values }, asking) };
  };

  /** The connection, without anything being sent. */
  async connection(): Promise<PostgresClient> {
    this.throwIfReleased();
    this.client ??= (await this.connect()) as PostgresClient;
    if (this.queryRunner.isReleased) giveBackLate(this.queryRunner);
    this.throwIfReleased();
    return this.client;
  }

  /**
   * The connection, if it is there and nobody can still be waiting for it, whom one that does not wait would overtake. Most statements
   * find it so, and asynchronous steps add up.
   */
  get connected(): PostgresClient | undefined {
    return this.hasSent && !this.queryRunner.isReleased ? this.client : undefined;
  }

  /** Runs a statement of this library now, after all that waits. */
  async run(statement: Statement): Promise<unknown[]> {
    return (await this.execute(statement)).rows;
  }

  private execute(statement: Statement): Promise<Result> {
    const { text, values } = statement;
    return this.unsent.track(async (sent) => {
      const client = this.connected ?? (await this.connection());
      try {
        const result = this.send(client, statement, sent);
        this.log(statement);
        return await result;
      } catch (error) {
        const { logger } = this.queryRunner.dataSource;
        logger.logQueryError(error as Error, text, values as unknown[] | undefined, this.queryRunner);
        throw new QueryFailedError(text, values as unknown[] | undefined, error as Error);
      }
    });
  }

  /** Runs a statement of this library before the next one, which as a rule is the COMMIT. What it returns is not known. */
  async runBeforeNext(statement: Statement): Promise<void> {
    if (this.canWait && this.waiting.length < MAX_WAITING) this.waiting.push(statement);
    else await this.run(statement);
  }

  /** A statement that waits for the COMMIT must not meet a connection that is in no transaction any more. */
  private get canWait(): boolean {
    if (this.starting || this.startFailure !== undefined || this.queryRunner.isReleased) return false;
    if (this.waiting[0] === START) return true;
    // While something is unanswered the status is that of before it.
    return this.client?.readyForQuery !== false && this.client?.getTransactionStatus?.() === 'T';
  }

  private async begin(): Promise<void> {
    this.startFailure = undefined;
    this.waiting.length = 0;
    this.waiting.push(START);
  }

  private async wait(sql: string): Promise<void> {
    // A savepoint behind which nothing was done.
    if (sql.startsWith(RELEASE) && this.waiting.at(-1)?.text === sql.slice(RELEASE.length)) this.waiting.pop();
    else this.waiting.push({ text: sql });
  }

  private async commit(args: Parameters<Query>): Promise<unknown> {
    if (!this.isAllSent) await this.allSent();
    let isOpen = false;
    if (this.waiting[0] === START) {
      if (this.waiting.every((statement) => statement === START || CONTROL.test(statement.text))) {
        this.waiting.length = 0;
        return undefined;
      }
    } else {
      let status: string | null | undefined;
      do {
        // A statement may have begun meanwhile, and not be sent yet. Nothing is awaited from this check to the COMMIT.
        if (!this.isAllSent) await this.allSent();
        const answer = transactionStatus(this.connected ?? (await this.connection()));
        status = typeof answer === 'string' ? answer : await answer;
      } while (!this.isAllSent);
      isOpen = status === 'T';
      if (!isOpen) {
        const waited = this.waiting.splice(0);
        if (status === 'I' && this.startFailure === undefined)
          throw new Error('the transaction was ended by SQL of the application');
        // Of a version of pg that does not tell nothing has waited. In a failed transaction nothing could be run.
        if (waited.length > 0 && status !== 'E')
          throw new Error('statements waited for a transaction that is not known');
      }
    }
    if (this.waiting.length === 0 && !isOpen) return this.passOn(args);
    try {
      const { command } = await this.execute(COMMIT);
      // A statement that nobody awaits came between, and failed.
      if (command === ROLLBACK) throw new TransactionAbortedError();
    } catch (error) {
      // pg rejects a statement before it has read the transaction's new status: what it tells may be out of date.
      if (!isInFailedTransaction(error)) throw error;
      // The COMMIT itself may fail with that code too, in a deferred trigger, and then the transaction is over.
      if ((await transactionStatus(await this.connection())) === 'I') throw error;
      // To a failed transaction the server answers COMMIT with ROLLBACK, which TypeORM's own way tells.
      return this.passOn(args);
    }
    return undefined;
  }

  /** What waits is younger than whatever was sent: a rollback undoes all of it, or a part if it goes back to a savepoint in it. */
  private async rollBack(sql: string, args: Parameters<Query>): Promise<unknown> {
    if (!this.isAllSent) await this.allSent();
    this.startFailure = undefined;
    const savepoint = sql.startsWith(ROLLBACK_TO) ? sql.slice(ROLLBACK_TO.length) : undefined;
    // The last of its name: an earlier one has been released, and what stands between is to stay.
    const from = this.waiting.findLastIndex(({ text }) => text === savepoint);
    if (from >= 0) {
      this.waiting.length = from;
      return undefined;
    }
    const isNotBegun = this.waiting[0] === START;
    this.waiting.length = 0;
    if (isNotBegun && sql === ROLLBACK) return undefined;
    if (isNotBegun) this.waiting.push(START);
    return this.passOn(args);
  }

  /** TypeORM's own way. Its `query` asks for the connection before it waits for anything. */
  private passOn(args: Parameters<Query>): Promise<unknown> {
    return this.unsent.track((sent) => {
      this.asking = sent;
      try {
        return this.query(...args);
      } finally {
        this.asking = undefined;
      }
    });
  }

  private get isAllSent(): boolean {
    return this.unsent.none && this.starting === undefined;
  }

  private async allSent(): Promise<void> {
    await this.unsent.allSent();
    while (this.starting) await this.starting;
  }

  private throwIfReleased(): void {
    if (this.queryRunner.isReleased) throw new QueryRunnerAlreadyReleasedError();
  }

  private send(client: PostgresClient, statement: AnyStatement, sent: () => void): Promise<Result> {
    this.hasSent = true;
    const isFree = !this.starting && this.startFailure === undefined && this.waiting.length === 0;
    if (!isFree) return this.sendInTurn(client, statement, sent);
    this.throwIfReleased();
    const result = client.query(statement.text, statement.values);
    sent();
    return result;
  }

  private async sendInTurn(client: PostgresClient, statement: AnyStatement, sent: () => void): Promise<Result> {
    while (this.starting) await this.starting;
    if (this.startFailure !== undefined) throw this.startFailure;
    this.throwIfReleased();
    const result =
      this.waiting.length > 0
        ? this.sendTogether(client, this.waiting.splice(0), statement)
        : client.query(statement.text, statement.values);
    sent();
    return result;
  }

  private async flush(client: PostgresClient): Promise<PostgresClient> {
    while (this.starting) await this.starting;
    if (this.startFailure !== undefined) throw this.startFailure;
    const before = this.waiting.splice(0);
    const last = before.pop();
    if (last) await this.sendTogether(client, before, last);
    return client;
  }

  private sendTogether(client: PostgresClient, before: readonly Statement[], statement: AnyStatement): Promise<Result> {
    for (const each of before) this.log(each);
    const isGroup = canGroup(client) && isOne(statement);
    const sent = isGroup
      ? sendGroup(client, before, statement, keepsStatementsPrepared(this.queryRunner.dataSource))
      : sendOneByOne(client, [...before, statement]);
    const starts = before[0] === START || statement === START;
    const result = sent.catch((failure: unknown) => {
      if (!(failure instanceof GroupFailure)) throw failure;
      learnFromFailure(this.queryRunner.dataSource, failure.cause);
      if (starts && failure.completed === 0) this.startFailure = failure.cause;
      throw explain(failure, before);
    });
    if (starts || !isGroup) {
      const end = (): void => (this.starting = undefined);
      this.starting = result.then(end, end);
    }
    return result;
  }

  private log({ text, values }: Statement): void {
    try {
      this.queryRunner.dataSource.logger.logQuery(text, values as unknown[] | undefined, this.queryRunner);
    } catch {
      // The statement is on its way, and what becomes of it must not be contradicted by a logger.
    }
  }
}

/** A connection that came after its query runner had been released: TypeORM would keep it for good. */
function giveBackLate(queryRunner: QueryRunner): void {
  const late = queryRunner as unknown as { releaseCallback?: (() => void) | undefined };
  late.releaseCallback?.();
  late.releaseCallback = undefined;
}

async function sendOneByOne(client: PostgresClient, statements: readonly AnyStatement[]): Promise<Result> {
  let completed = 0;
  let result: Result | undefined;
  for (const { text, values } of statements) {
    try {
      result = await client.query(text, values);
      completed += 1;
    } catch (error) {
      throw new GroupFailure(error as Error, completed);
    }
  }
  return result as Result;
}

/** The extended protocol takes one statement at a time. Semicolons in texts and comments count too: then it is sent by itself. */
function isOne({ text, values }: AnyStatement): boolean {
  // An object, against TypeORM's types: pg's to understand.
  if (typeof (text as unknown) !== 'string') return false;
  return (values !== undefined && values.length > 0) || !/;\s*\S/.test(text);
}

/** TypeORM will tell the application of its own statement, which was not the one that failed. */
function explain({ cause: error, completed }: GroupFailure, before: readonly Statement[]): Error {
  const failed = before[completed];
  if (failed) error.message = `${error.message} (in a statement before it: ${failed.text.slice(0, 60)}…)`;
  return error;
}

/** SQLSTATE 25P02, in_failed_sql_transaction. */
function isInFailedTransaction(error: unknown): boolean {
  return error instanceof QueryFailedError && (error.driverError as { code?: unknown }).code === '25P02';
}

/** Lets statements share round trips; for a query runner that nobody but this library drives. */
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
export function connectionOf(queryRunner: QueryRunner): PostgresClient | Promise<unknown> {
  const group = groups.get(queryRunner);
  return group ? (group.connected ?? group.connection()) : queryRunner.connect();
}

/** @returns undefined for a query runner whose statements are not grouped */
export function groupOf(queryRunner: QueryRunner): Pick<GroupedStatements, 'run' | 'runBeforeNext'> | undefined {
  return groups.get(queryRunner);
}
