import type { DynamicModule, Type } from '@nestjs/common';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import { DataSource, type DataSourceOptions, type MigrationInterface, type QueryRunner } from 'typeorm';
import { type DatabaseKind, databaseKindOf, isPostgres } from './database-kind';

export interface DatabaseOptions {
  /** Its protocol says which database it is. */
  readonly url: string;
  readonly entities: readonly Type[];
  readonly migrations: readonly Type<MigrationInterface>[];
  /** Handlers that may run at once: each holds a connection. */
  readonly handlersAtOnce: number;
}

/** Connections beside those of the handlers: HTTP requests, the jobs, settling. */
const FURTHER_CONNECTIONS = 6;
/** A pool that is used up makes requests wait this long, in milliseconds, before they fail. */
const CONNECTION_WITHIN_MS = 10_000;
/** Longer than migrations take. */
const LOCK_WITHIN_S = 600;

/**
 * What PostgreSQL (SQLSTATE) and MySQL say while it may still come right by itself: starting up, shutting down, no free connection,
 * database not created yet. Without such a code nobody answered at all. Anything else, such as a wrong password, will not change.
 */
const PASSING = new Set([
  ...['57P03', '57P01', '57P02', '53300', '3D000'],
  ...['ER_SERVER_SHUTDOWN', 'ER_CON_COUNT_ERROR', 'ER_TOO_MANY_USER_CONNECTIONS', 'ER_BAD_DB_ERROR'],
]);

/**
 * The service's own database, its tables created by its own migrations. A database that is not there yet is waited for, about
 * half a minute; then the process ends with an error, and whatever supervises it starts it again.
 */
export function databaseModule({ url, entities, migrations, handlersAtOnce }: DatabaseOptions): DynamicModule {
  return TypeOrmModule.forRootAsync({
    useFactory: (): TypeOrmModuleOptions => ({
      ...driverOptions(url),
      entities: [...entities],
      migrations: [...migrations],
      synchronize: false,
      poolSize: handlersAtOnce + FURTHER_CONNECTIONS,
      retryAttempts: 15,
      retryDelay: 2_000,
      toRetry: (error: unknown) => mayPass(error),
    }),
    dataSourceFactory: async (options) => {
      if (!options) throw new Error('TypeORM got no options.');
      const dataSource = await new DataSource(options).initialize();
      try {
        await migrate(dataSource);
        return dataSource;
      } catch (error) {
        await dataSource.destroy();
        throw error;
      }
    },
  });
}

type DriverOptions = Extract<DataSourceOptions, { type: DatabaseKind }>;

function driverOptions(url: string): DriverOptions {
  const type = databaseKindOf(url) ?? 'postgres';
  if (type === 'postgres') return { type, url, connectTimeoutMS: CONNECTION_WITHIN_MS };
  return {
    type,
    url,
    connectTimeout: CONNECTION_WITHIN_MS,
    timezone: 'Z',
    // As on PostgreSQL: a handler that has waited for another one's row then sees what that one has written.
    isolationLevel: 'READ COMMITTED',
    // Rows that a statement leaves as they are are not counted as affected (insert-if-absent.ts).
    flags: ['-FOUND_ROWS'],
  };
}

/**
 * TypeORM does not expect two instances to migrate at once (`migrationsRun: true`): both create its table, and one of them
 * fails to boot. So only the holder of a lock migrates. The lock belongs to the session and goes with it, however it ends.
 */
export async function migrate(dataSource: DataSource): Promise<void> {
  const locker = dataSource.createQueryRunner();
  try {
    await lockMigrations(locker);
    try {
      await dataSource.runMigrations({ transaction: 'all' });
    } finally {
      await unlockMigrations(locker);
    }
  } finally {
    await locker.release();
  }
}

/** MySQL's locks are the server's; the database's name makes it one of this database. */
const MYSQL_LOCK = `sha1(concat('migrations ', database()))`;

async function lockMigrations(locker: QueryRunner): Promise<void> {
  if (isPostgres(locker)) {
    await locker.query(`SELECT pg_advisory_lock(hashtext('migrations'))`);
    return;
  }
  const [answer] = (await locker.query(`SELECT get_lock(${MYSQL_LOCK}, ${LOCK_WITHIN_S}) AS locked`)) as [
    { locked: unknown },
  ];
  if (Number(answer.locked) !== 1) throw new Error(`Another instance has been migrating for ${LOCK_WITHIN_S} s.`);
}

async function unlockMigrations(locker: QueryRunner): Promise<void> {
  if (isPostgres(locker)) await locker.query(`SELECT pg_advisory_unlock(hashtext('migrations'))`);
  else await locker.query(`SELECT release_lock(${MYSQL_LOCK})`);
}

function mayPass(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code !== 'string') return true;
  const isSqlState = /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code);
  return !(isSqlState || code.startsWith('ER_')) || PASSING.has(code);
}
