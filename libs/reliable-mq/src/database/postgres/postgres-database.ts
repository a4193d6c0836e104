import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { InvalidSetupError, TransactionAbortedError } from '../../event/errors';
import { createLog } from '../../log/log';
import { acquireQueryRunner } from '../acquire-query-runner';
import { claimOwnership } from '../claim-ownership';
import type { DatabaseFailure, DatabasePort, Examined, OwnedPart, SchemaMode } from '../port';
import { TableCheck } from '../table-check';
import { ownersOf } from './owners';
import { callersWaitingFor, poolSizeOf } from './connection-pool';
import { isDatabaseUnavailable, isDeadlock, isTransient, sqlState } from './database-errors';
import { destroyConnection, hasLostTransaction, isWhole } from './deadline';
import { examine } from './examine';
import { findSchema } from './find-schema';
import { limitIdleTime } from './idle-limit';
import { learnAboutConnections } from './learn-about-connections';
import { terminateBackend } from './outside-pool';
import { giveUpReadOnlyConnections } from './read-only-connections';
import { migrateSchema, verifySchema } from './schema-migrator';
import { ping } from './sql';
import { isStorableIn, knowEncoding, storableIn } from './storable-texts';
import { tableProblems } from './table-problems';

const IN_FAILED_TRANSACTION = '25P02';
/** How long the database may take to answer when the question is whether it is there, in milliseconds. */
const PING_DEADLINE_MS = 2000;
/** SQLSTATEs in_failed_sql_transaction and invalid_savepoint_specification. */
const CONSEQUENCES = ['25P02', '3B001'];

/** Statements that end or undo (a part of) a transaction. */
const TRANSACTION_CONTROL = /\b(savepoint|rollback|commit|abort|prepare\s+transaction)\b|^\s*end\b/i;

/** PostgreSQL 13 and later, by `pg`. */
export class PostgresDatabase implements DatabasePort {
  readonly kind = 'postgres';
  /** A gigabyte, which no option reaches. */
  readonly statementLimit = undefined;

  private readonly logger = createLog();
  private readonly tables: TableCheck;

  constructor(
    private readonly dataSource: DataSource,
    private readonly name = 'default',
  ) {
    this.tables = new TableCheck(name, () => tableProblems(dataSource));
  }

  async open(schema: SchemaMode): Promise<void> {
    await findSchema(this.dataSource, this.name);
    if (schema === 'migrate') await migrateSchema(this.dataSource);
    else await verifySchema(this.dataSource);
    const { encoding } = await learnAboutConnections(this.dataSource);
    if (!knowEncoding(this.dataSource, encoding)) {
      this.logger.warn(
        'The database cannot hold every text: what it has no character for is replaced in reasons and headers',
        {
          dataSource: this.name,
          encoding,
        },
      );
    }
    giveUpReadOnlyConnections(this.dataSource);
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
    return storableIn(this.dataSource, text);
  }

  isStorable(text: string): boolean {
    return isStorableIn(this.dataSource, text);
  }

  get poolSize(): number | undefined {
    return poolSizeOf(this.dataSource);
  }

  get callersWaiting(): number {
    return callersWaitingFor(this.dataSource);
  }

  failureOf(error: unknown): DatabaseFailure | undefined {
    if (isDatabaseUnavailable(error)) return 'unavailable';
    if (isTransient(error)) return 'conflict';
    const state = sqlState(error);
    if (state === undefined) return undefined;
    return CONSEQUENCES.includes(state) ? 'consequence' : 'refused';
  }

  isDeadlock(error: unknown): boolean {
    return isDeadlock(error);
  }

  acquire(timeoutMs: number, stop?: AbortSignal): Promise<QueryRunner> {
    return acquireQueryRunner(this.dataSource, timeoutMs, stop);
  }

  async ping(deadlineMs: number): Promise<void> {
    await ping(this.dataSource, deadlineMs);
    // Somebody may have mended what was wrong.
    if (this.tables.problems.length > 0) await this.tables.run();
  }

  limitIdleTime(manager: EntityManager, limitMs: number): Promise<void> {
    return limitIdleTime(manager, limitMs);
  }

  isWhole(queryRunner: QueryRunner): Promise<boolean> {
    return isWhole(queryRunner);
  }

  hasLostTransaction(queryRunner: QueryRunner): boolean | Promise<boolean> {
    return hasLostTransaction(queryRunner);
  }

  /** PostgreSQL refuses what follows a failure. */
  rolledBackBy(): undefined {
    return undefined;
  }

  async rehearseCommit(queryRunner: QueryRunner): Promise<void> {
    try {
      await queryRunner.query('SET CONSTRAINTS ALL IMMEDIATE');
    } catch (error) {
      throw sqlState(error) === IN_FAILED_TRANSACTION ? new TransactionAbortedError() : error;
    }
  }

  /** DDL is part of the transaction. */
  committedBy(): undefined {
    return undefined;
  }

  commitsImplicitly(): boolean {
    return false;
  }

  mayEndTransaction(sql: string): boolean {
    return TRANSACTION_CONTROL.test(sql);
  }

  /** There is no error when a statement of the transaction had failed. */
  isRollback(answer: unknown): boolean {
    return (answer as { command?: string } | undefined)?.command === 'ROLLBACK';
  }

  async discard(queryRunner: QueryRunner, reason: Error): Promise<void> {
    await destroyConnection(queryRunner, reason);
  }

  async cut(queryRunner: QueryRunner, reason: Error): Promise<unknown> {
    try {
      const serverProcess = await destroyConnection(queryRunner, reason);
      if (serverProcess === undefined) await this.ping(PING_DEADLINE_MS);
      else await terminateBackend(this.dataSource, serverProcess);
      return undefined;
    } catch (error) {
      return error;
    }
  }
}
