import { MariadbServer } from './mariadb-server';
import { locateMariadb, type MariadbBinaries } from './mariadb-binaries';
import { createOwnedFolder } from './owned-folder';
import { unprivilegedUser } from './unprivileged-user';

export { findMariadb } from './find-mariadb';
export { MariadbServer } from './mariadb-server';
export { findMariadbBinaries } from './mariadb-binaries';

export interface MariadbOptions {
  /**
   * Options of the server. By default it does not wait for the disk at each commit: that survives `kill()`, because the operating system keeps what was
   * written, and is not what production pays. Measure with `{ 'innodb-flush-log-at-trx-commit': '1' }`.
   */
  readonly settings?: Readonly<Record<string, string>>;
}

const DEFAULT_SETTINGS = {
  'innodb-flush-log-at-trx-commit': '2',
  'innodb-buffer-pool-size': '64M',
  'max-connections': '200',
};

/** Starts a MariaDB of one's own: a free port, a temporary data folder, user `root` without a password. */
export async function startMariadb(
  options: MariadbOptions = {},
  binaries: MariadbBinaries = locateMariadb(),
): Promise<MariadbServer> {
  const folder = createOwnedFolder();
  try {
    const server = new MariadbServer(folder, unprivilegedUser(), binaries, {
      ...DEFAULT_SETTINGS,
      ...options.settings,
    });
    await server.start();
    return server;
  } catch (error) {
    folder.remove();
    throw error;
  }
}
