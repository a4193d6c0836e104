import { type DockerMariadb, startDockerMariadb } from './docker-mariadb';
import { dockerAnswers } from './docker-rabbitmq-node';
import { installPackage, mayInstall } from './install-package';
import { findMariadbBinaries, type MariadbServer, startMariadb } from './mariadb';

/**
 * A MariaDB of one's own: by a `mariadbd` that is installed, else in Docker, else after `apt-get install` where that is allowed.
 *
 * @throws Error that says how to get one when there is neither
 */
export async function provideMariadb(): Promise<MariadbServer | DockerMariadb> {
  const binaries = findMariadbBinaries();
  if (binaries) return startMariadb({}, binaries);
  if (dockerAnswers()) return startDockerMariadb();
  if (mayInstall()) {
    await installPackage('mariadb-server');
    return startMariadb();
  }
  throw new Error(
    'There is no MariaDB: none answers at 127.0.0.1:3306, no mariadbd is installed, and no Docker answers. Install one ' +
      '(Debian: apt-get install mariadb-server; macOS: brew install mariadb), or set MYSQL_URL to a MariaDB or MySQL that runs.',
  );
}

/** Whether `provideMariadb` can get one here. */
export function canProvideMariadb(): boolean {
  return findMariadbBinaries() !== undefined || dockerAnswers() || mayInstall();
}
