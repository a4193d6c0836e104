import type { DataSource, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../database/data-source-of';
import { destroyConnection } from '../database/postgres/deadline';
import { DatabaseDeadlineError } from '../database/port';
import { terminateBackend } from '../database/postgres/outside-pool';
import { ping } from '../database/postgres/sql';
import { HandlerTimeoutError } from '../event/errors';
import { Stopped } from './attempt-watchdog';

/** How long the database may take to answer when the question is whether it is there, in milliseconds. */
const PING_DEADLINE_MS = 2000;

/** Whether the error is a watchdog's: the work still runs, and must be cut off. */
export function isCutOff(error: unknown): error is Error {
  return error instanceof Stopped || error instanceof HandlerTimeoutError || error instanceof DatabaseDeadlineError;
}

/**
 * Take the connection away from work that does not end, here and at the server, where it may wait for a lock.
 * @returns why the database could not be asked to, when it could not: it is away
 */
export async function cutConnection(queryRunner: QueryRunner, reason: Error): Promise<unknown> {
  const dataSource = dataSourceOf(queryRunner);
  try {
    const serverProcess = await destroyConnection(queryRunner, reason);
    if (serverProcess === undefined) return await whyAway(dataSource);
    await terminateBackend(dataSource, serverProcess);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** @returns why the database does not answer, when it does not */
export async function whyAway(dataSource: DataSource): Promise<unknown> {
  try {
    await ping(dataSource, PING_DEADLINE_MS);
    return undefined;
  } catch (error) {
    return error;
  }
}
