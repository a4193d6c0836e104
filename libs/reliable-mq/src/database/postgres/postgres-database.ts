import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type { DatabaseFailure, DatabasePort } from '../port';
import { callersWaitingFor, poolSizeOf } from './connection-pool';
import { isDatabaseUnavailable, isTransient, sqlState } from './database-errors';
import { acquireQueryRunner, destroyConnection, hasLostTransaction } from './deadline';
import { limitIdleTime } from './idle-limit';
import { learnAboutConnections } from './learn-about-connections';
import { ping, terminateBackend } from './sql';

/** How long the database may take to answer when the question is whether it is there, in milliseconds. */
const PING_DEADLINE_MS = 2000;
/** SQLSTATEs in_failed_sql_transaction and invalid_savepoint_specification. */
const CONSEQUENCES = ['25P02', '3B001'];

/** PostgreSQL 13 and later, by `pg`. */
export class PostgresDatabase implements DatabasePort {
  readonly kind = 'postgres';

  constructor(private readonly dataSource: DataSource) {}

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

  acquire(timeoutMs: number, stop?: AbortSignal): Promise<QueryRunner> {
    return acquireQueryRunner(this.dataSource, timeoutMs, stop);
  }

  ping(deadlineMs: number): Promise<void> {
    return ping(this.dataSource, deadlineMs);
  }

  limitIdleTime(manager: EntityManager, limitMs: number): Promise<void> {
    return limitIdleTime(manager, limitMs);
  }

  hasLostTransaction(queryRunner: QueryRunner): Promise<boolean> {
    return hasLostTransaction(queryRunner);
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

  learn(): Promise<void> {
    return learnAboutConnections(this.dataSource);
  }
}
