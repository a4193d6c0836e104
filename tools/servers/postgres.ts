import { createOwnedFolder } from './owned-folder';
import { locatePostgres, type PostgresSource } from './postgres-binaries';
import { PostgresServer } from './postgres-server';
import { unprivilegedUser } from './unprivileged-user';

export { findPostgres } from './find-postgres';
export { PostgresServer } from './postgres-server';

/** A hot standby of the server, which is down for a moment. */
export function startStandby(primary: PostgresServer): Promise<PostgresServer> {
  return primary.startStandby(createOwnedFolder());
}

export interface PostgresOptions {
  /**
   * Parameters of postgresql.conf. By default `fsync` and `full_page_writes` are off: that survives `kill()`, because the
   * operating system keeps what was written, and is not what production pays. Measure with `{ fsync: 'on', full_page_writes: 'on' }`.
   */
  readonly settings?: Readonly<Record<string, string>>;
  /** Installed binaries, those from npm, or the first that work. @default 'any' */
  readonly source?: PostgresSource;
}

const DEFAULT_SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // In the data folder rather than /dev/shm, where kill() would leave it behind.
  dynamic_shared_memory_type: 'mmap',
};

/** Starts a PostgreSQL of one's own: a free port, a temporary data folder, user `postgres` without a password. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const folder = createOwnedFolder();
  try {
    const user = unprivilegedUser();
    const binaries = locatePostgres(options.source ?? 'any', user, folder.path);
    const server = new PostgresServer(folder, user, binaries, { ...DEFAULT_SETTINGS, ...options.settings });
    await server.start();
    return server;
  } catch (error) {
    folder.remove();
    throw error;
  }
}
