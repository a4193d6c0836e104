import type { DynamicModule, Type } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource, type MigrationInterface } from 'typeorm';

export interface DatabaseOptions {
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

/**
 * What PostgreSQL says (SQLSTATE) while it may still come right by itself: starting up, shutting down, no free connection, database
 * not created yet. Without a SQLSTATE nobody answered at all. Anything else, such as a wrong password, will not change.
 */
const PASSING = new Set(['57P03', '57P01', '57P02', '53300', '3D000']);

/**
 * The service's own database, its tables created by its own migrations. A database that is not there yet is waited for, about
 * half a minute; then the process ends with an error, and whatever supervises it starts it again.
 */
export function databaseModule({ url, entities, migrations, handlersAtOnce }: DatabaseOptions): DynamicModule {
  return TypeOrmModule.forRootAsync({
    useFactory: () => ({
      type: 'postgres',
      url,
      entities: [...entities],
      migrations: [...migrations],
      synchronize: false,
      poolSize: handlersAtOnce + FURTHER_CONNECTIONS,
      connectTimeoutMS: CONNECTION_WITHIN_MS,
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

/**
 * TypeORM does not expect two instances to migrate at once (`migrationsRun: true`): both create its table, and one of them
 * fails to boot. So only the holder of a lock migrates. The lock belongs to the session and goes with it, however it ends.
 */
export async function migrate(dataSource: DataSource): Promise<void> {
  const locker = dataSource.createQueryRunner();
  try {
    await locker.query(`SELECT pg_advisory_lock(hashtext('migrations'))`);
    try {
      await dataSource.runMigrations({ transaction: 'all' });
    } finally {
      await locker.query(`SELECT pg_advisory_unlock(hashtext('migrations'))`);
    }
  } finally {
    await locker.release();
  }
}

function mayPass(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  const isSqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code);
  return !isSqlState || PASSING.has(code);
}
