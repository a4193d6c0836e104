import type { EntityManager, QueryRunner } from 'typeorm';

/** `migrate`: create the tables and bring them up to date; `verify`: only check them. */
export type SchemaMode = 'migrate' | 'verify';

/** What belongs to one service each. */
export type OwnedPart = 'outbox' | 'inbox';

/** A kind of database. */
export type DatabaseName = 'postgres' | 'mysql' | 'mariadb';

/**
 * What a failure of the database says.
 * - `unavailable`: it could not be asked (connection lost, shutting down, out of resources, takes no writes): nothing is known of
 *   the statement, and nothing is wrong with it
 * - `conflict`: something that ran beside the statement (deadlock, serialization failure, lock or statement time limit): the same
 *   transaction may succeed when it is run again
 * - `consequence`: an earlier statement of the same transaction had failed
 * - `refused`: the statement itself
 */
export type DatabaseFailure = 'unavailable' | 'conflict' | 'consequence' | 'refused';

/** One thing about a database that was looked at. */
export interface Examined {
  readonly what: string;
  readonly found: string;
  /** What is wrong with it, and what to do. */
  readonly problem?: string | undefined;
}

/**
 * What this library needs of one DataSource's database beside its stores: all that differs between databases and is no statement on
 * the outbox or the inbox. One folder per kind implements it; one contract suite holds for all of them
 * (test/contract/database-port.contract.ts).
 */
export interface DatabasePort {
  readonly kind: DatabaseName;

  /**
   * Find, create or bring up to date, or only check the tables, and learn what statements have to know of the sessions. To be called once
   * at boot, before any other method but `ping`.
   * @throws SchemaMissingError when the tables are not as this version needs them, with the command that mends it
   * @throws InvalidSetupError when it is not clear where the tables are, or (`verify`) when there are `problems()`
   */
  open(schema: SchemaMode): Promise<void>;

  /**
   * Let the outbox or the inbox belong to a service, for good.
   * @throws InvalidSetupError when it belongs to another one, with what to do if that is the same under another name
   */
  own(part: OwnedPart, service: string): Promise<void>;

  /** @returns the service that the outbox or the inbox belongs to; undefined: nobody has started on it yet */
  ownerOf(part: OwnedPart): Promise<string | undefined>;

  /**
   * What keeps this application from seeing or changing all rows, each as a sentence with what to do: looked at when the database was
   * opened, when a row was not there that must be, and while there is one, by each `ping`.
   */
  problems(): readonly string[];

  /** Look at what the promises rest on at the server: its version, its settings, what goes on in it. Only after `open`, or where that has failed. */
  examine(): Promise<readonly Examined[]>;

  /** The text with a replacement for each character that the database cannot hold; what is JSON stays so. */
  storable(text: string): string;

  /** Whether the database holds the text as it is. */
  isStorable(text: string): boolean;

  /** How many connections the DataSource may have open at once, when that is known. */
  readonly poolSize: number | undefined;

  /** The largest statement that the server takes; undefined: larger than anything that is stored here. */
  readonly statementLimit: StatementLimit | undefined;

  /** Callers that wait for a connection at this moment. */
  readonly callersWaiting: number;

  /** @returns what an error of the driver says; undefined for one that no database has thrown */
  failureOf(error: unknown): DatabaseFailure | undefined;

  /**
   * Whether an error says that the database has rolled back the whole transaction because of what ran beside it (deadlock, serialization failure): it
   * is over at once when the same transaction is run again.
   */
  isDeadlock(error: unknown): boolean;

  /**
   * A query runner that has its connection. One that the pool gives too late goes back to it.
   * @param timeoutMs how long to wait, in milliseconds
   * @param stop do not wait any longer than this
   * @throws NoConnectionError when there is none
   */
  acquire(timeoutMs: number, stop?: AbortSignal): Promise<QueryRunner>;

  /** Resolves when the database answers within the deadline, in milliseconds, and takes writes; rejects with the reason otherwise. */
  ping(deadlineMs: number): Promise<void>;

  /**
   * Let the server end the open transaction, and its session, when it has waited for a statement for so long: a process that is frozen
   * or cut off must not hold its locks for hours.
   * @param limitMs longer than this process itself lets the transaction go on without a statement, in milliseconds
   */
  limitIdleTime(manager: EntityManager, limitMs: number): Promise<void>;

  /** Whether the open transaction is whole, as far as the server has said: no statement of it has failed. False when that is not known. */
  isWhole(queryRunner: QueryRunner): Promise<boolean>;

  /** Whether the server has no transaction open although TypeORM thinks so: somebody wrote `ROLLBACK` or `COMMIT`. */
  hasLostTransaction(queryRunner: QueryRunner): boolean | Promise<boolean>;

  /**
   * The error with which the server has rolled back the whole open transaction, where it would take what follows all the same, and commit
   * it statement by statement; undefined where there is none, or the server itself refuses what follows.
   */
  rolledBackBy(queryRunner: QueryRunner): unknown;

  /**
   * Check now what a COMMIT would check, and refuse what it would undo: of a transaction that is about to be rolled back.
   * @throws what the COMMIT would be refused with, or TransactionAbortedError where it would only seem to succeed
   */
  rehearseCommit(queryRunner: QueryRunner): Promise<void>;

  /**
   * The statement that has committed the open transaction without being told to, as DDL does, where the database would take what follows and commit
   * it statement by statement; undefined where there is none.
   */
  committedBy(queryRunner: QueryRunner): string | undefined;

  /** Whether a statement commits the open transaction before it does anything else. */
  commitsImplicitly(sql: string): boolean;

  /** Whether a statement that an application has written may end the open transaction, or undo a part of it. */
  mayEndTransaction(sql: string): boolean;

  /** Whether the driver's answer to a COMMIT says that nothing was committed. */
  isRollback(answer: unknown): boolean;

  /** Close the query runner's connection for good, so that nobody else gets it. Statements that still use it fail. */
  discard(queryRunner: QueryRunner, reason: Error): Promise<void>;

  /**
   * Take the connection away from work that does not end, here and at the server, where it may wait for a lock and hold others.
   * @returns why the database could not be asked to, when it could not: it is away
   */
  cut(queryRunner: QueryRunner, reason: Error): Promise<unknown>;
}

export interface StatementLimit {
  readonly bytes: number;
  /** What a person runs on the server so that it takes statements of so many bytes. */
  raiseTo(bytes: number): string;
}

/** The database could not be asked; nothing is known of what was to be asked. */
export class DatabaseUnavailableError extends Error {
  override readonly name: string = 'DatabaseUnavailableError';
}

/** The server takes no statement as large as a row needs. Nothing was sent: it would close the connection, which is what an outage looks like. */
export class StatementTooLargeError extends Error {
  override readonly name = 'StatementTooLargeError';

  /**
   * @param what needs it, with its id
   * @param remedy see `StatementLimit.raiseTo`
   */
  constructor(what: string, bytes: number, maxBytes: number, remedy: string) {
    super(
      `${what} takes a statement of ${bytes} bytes, and the server takes ${maxBytes} (max_allowed_packet). ${remedy}, and start the application again`,
    );
  }
}

/** The server takes no writes: after a failover it is a standby, or its transactions are read-only by default. */
export class DatabaseReadOnlyError extends DatabaseUnavailableError {
  override readonly name = 'DatabaseReadOnlyError';

  constructor() {
    super('the database takes no writes: it is a standby, or its transactions are read-only');
  }
}

/** There was no connection, so no statement was sent: the database did nothing. */
export class NoConnectionError extends DatabaseUnavailableError {
  override readonly name = 'NoConnectionError';
}

/** The database did not answer in time; nothing is known of what it did. */
export class DatabaseDeadlineError extends DatabaseUnavailableError {
  override readonly name = 'DatabaseDeadlineError';
}
