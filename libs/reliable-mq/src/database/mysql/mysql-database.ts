import type { DataSource, EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { InvalidSetupError, TransactionAbortedError } from '../../event/errors';
import { isStorableText, storableText } from '../../event/storable';
import { acquireQueryRunner } from '../acquire-query-runner';
import { claimOwnership } from '../claim-ownership';
import { type DatabaseFailure, type DatabaseName, type DatabasePort, DatabaseReadOnlyError } from '../port';
import { TableCheck } from '../table-check';
import type { Examined, OwnedPart, SchemaMode, StatementLimit } from '../port';
import { ownersOf } from './owners';
import { callersWaitingFor, destroyConnection, poolSizeOf } from './connection';
import { isConflict, isConsequence, isDatabaseUnavailable, isDeadlock, isRefused } from './database-errors';
import { examine } from './examine';
import { limitIdleTime } from './idle-limit';
import { killSession } from './outside-pool';
import { dismissIdle, dismissIfReadOnly, mustTakeWrites } from './read-only-connections';
import { migrateSchema, verifySchema } from './schema-migrator';
import { learnAboutServer, raisePacketTo, serverOf } from './server';
import { onOwnConnection, writeOn } from './sql';
import { tableProblems } from './table-problems';
import {
  commitsImplicitly,
  committedBy,
  hasFailedStatement,
  knownToBeOpen,
  mayHaveCommitted,
  noteAnswer,
  noteFailure,
  rolledBackBy,
} from './transaction-state';

/** How long the database may take to answer when the question is whether it is there, in milliseconds. */
const PING_DEADLINE_MS = 2000;

/** Statements that end or undo (a part of) a transaction. */
const TRANSACTION_CONTROL = /\b(savepoint|rollback|commit)\b|^\s*(begin|start\s+transaction|xa)\b/i;

const watched = new WeakSet<DataSource>();

/** MySQL 8.0.17 and later, and MariaDB 10.6 and later, by `mysql2`. */
export class MysqlDatabase implements DatabasePort {
  private readonly tables: TableCheck;

  /** @param kind as the DataSource calls it; which of the two answers is found at boot */
  constructor(
    readonly kind: Extract<DatabaseName, 'mysql' | 'mariadb'>,
    private readonly dataSource: DataSource,
    private readonly name = 'default',
  ) {
    this.tables = new TableCheck(name, () => tableProblems(dataSource));
  }

  async open(schema: SchemaMode): Promise<void> {
    await learnAboutServer(this.dataSource, this.name);
    if (schema === 'migrate') await migrateSchema(this.dataSource);
    else await verifySchema(this.dataSource);
    this.watchStatements();
    const problems = await this.tables.run();
    if (schema === 'verify' && problems.length > 0) throw new InvalidSetupError(problems);
  }

  own(part: OwnedPart, service: string): Promise<void> {
    return claimOwnership(ownersOf(this.dataSource), part, service);
  }

  ownerOf(part: OwnedPart): Promise<string | undefined> {
    return ownersOf(this.dataSource).of(part);
  }

  problems(): readonly string[] {
    return this.tables.problems;
  }

  examine(): Promise<readonly Examined[]> {
    return examine(this.dataSource);
  }

  /** To be told when a row is not there that must be. */
  suspectTables(): void {
    this.tables.suspect();
  }

  storable(text: string): string {
    return storableText(text);
  }

  isStorable(text: string): boolean {
    return isStorableText(text);
  }

  get poolSize(): number | undefined {
    return poolSizeOf(this.dataSource);
  }

  get statementLimit(): StatementLimit {
    return { bytes: serverOf(this.dataSource).maxStatementBytes, raiseTo: raisePacketTo };
  }

  get callersWaiting(): number {
    return callersWaitingFor(this.dataSource);
  }

  failureOf(error: unknown): DatabaseFailure | undefined {
    if (isDatabaseUnavailable(error)) return 'unavailable';
    if (isConflict(error)) return 'conflict';
    if (isConsequence(error)) return 'consequence';
    return isRefused(error) ? 'refused' : undefined;
  }

  isDeadlock(error: unknown): boolean {
    return isDeadlock(error);
  }

  acquire(timeoutMs: number, stop?: AbortSignal): Promise<QueryRunner> {
    return acquireQueryRunner(this.dataSource, timeoutMs, stop);
  }

  async ping(deadlineMs: number): Promise<void> {
    const ask = (): Promise<void> =>
      onOwnConnection(this.dataSource, (own) => mustTakeWrites(this.dataSource, own), deadlineMs);
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof DatabaseReadOnlyError)) throw error;
      // A connection that was opened before a failover says nothing of those to come.
      await dismissIdle(this.dataSource);
      await ask();
    }
    // Somebody may have mended what was wrong.
    if (this.tables.problems.length > 0) await this.tables.run();
  }

  limitIdleTime(manager: EntityManager, limitMs: number): Promise<void> {
    return limitIdleTime(manager, limitMs);
  }

  async isWhole(queryRunner: QueryRunner): Promise<boolean> {
    if (queryRunner.isReleased || hasFailedStatement(queryRunner)) return false;
    try {
      return await this.isTransactionOpen(queryRunner);
    } catch {
      return false;
    }
  }

  hasLostTransaction(queryRunner: QueryRunner): boolean | Promise<boolean> {
    if (queryRunner.isReleased || knownToBeOpen(queryRunner)) return false;
    return this.isTransactionOpen(queryRunner).then((isOpen) => !isOpen);
  }

  rolledBackBy(queryRunner: QueryRunner): unknown {
    return rolledBackBy(queryRunner);
  }

  /** There are no deferred constraints. */
  rehearseCommit(queryRunner: QueryRunner): Promise<void> {
    const cause = rolledBackBy(queryRunner);
    return cause === undefined
      ? Promise.resolve()
      : Promise.reject(new TransactionAbortedError('the database has rolled it back already', { cause }));
  }

  committedBy(queryRunner: QueryRunner): string | undefined {
    return committedBy(queryRunner);
  }

  commitsImplicitly(sql: string): boolean {
    return commitsImplicitly(sql);
  }

  mayEndTransaction(sql: string): boolean {
    return TRANSACTION_CONTROL.test(sql) || commitsImplicitly(sql);
  }

  /** What cannot be committed is an error. */
  isRollback(): boolean {
    return false;
  }

  async discard(queryRunner: QueryRunner, _reason: Error): Promise<void> {
    await destroyConnection(queryRunner);
  }

  async cut(queryRunner: QueryRunner, _reason: Error): Promise<unknown> {
    try {
      const session = await destroyConnection(queryRunner);
      if (session === undefined) await this.ping(PING_DEADLINE_MS);
      else await killSession(this.dataSource, session);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** Asks the server, by a statement that does nothing: its answer has the flag. */
  private async isTransactionOpen(queryRunner: QueryRunner): Promise<boolean> {
    await writeOn(queryRunner, 'DO 0');
    return knownToBeOpen(queryRunner) ?? false;
  }

  /** Before the next statement: it would be committed by itself. */
  private async askAfter(queryRunner: QueryRunner): Promise<void> {
    // A connection that does not answer takes no further statement either.
    await this.isTransactionOpen(queryRunner).catch(() => undefined);
  }

  /** Also the application's: what an answer says of its transaction, and of a server that takes no writes. */
  private watchStatements(): void {
    if (watched.has(this.dataSource)) return;
    watched.add(this.dataSource);
    const subscriber: EntitySubscriberInterface = {
      afterQuery: ({ success, query, rawResults, error, queryRunner }) => {
        if (success) noteAnswer(queryRunner, query, rawResults);
        else noteFailure(queryRunner, query, error);
        if (mayHaveCommitted(queryRunner) && !isDatabaseUnavailable(error)) return this.askAfter(queryRunner);
        return success ? undefined : dismissIfReadOnly(this.dataSource, queryRunner, error);
      },
    };
    this.dataSource.subscribers.push(subscriber);
  }
}
