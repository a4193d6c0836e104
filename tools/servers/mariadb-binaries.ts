import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where `mariadbd` and what makes its tables lie, and what they say they are, e.g. "MariaDB 10.11.6". */
export interface MariadbBinaries {
  readonly server: string;
  readonly install: string;
  readonly version: string;
}

/** Beside the PATH: an ordinary user's may lack where distributions put servers. */
const FOLDERS = ['/usr/sbin', '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/usr/local/opt/mariadb/bin'];

/** @returns undefined when there is none */
export function findMariadbBinaries(): MariadbBinaries | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...FOLDERS];
  const find = (program: string): string | undefined =>
    folders.map((folder) => join(folder, program)).find((file) => existsSync(file));
  const server = find('mariadbd');
  const install = find('mariadb-install-db');
  if (server === undefined || install === undefined) return undefined;
  const { status, stdout } = spawnSync(server, ['--no-defaults', '--version'], { encoding: 'utf8' });
  if (status !== 0) return undefined;
  return { server, install, version: `MariaDB ${/\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'unknown'}` };
}

export function locateMariadb(): MariadbBinaries {
  const found = findMariadbBinaries();
  if (found) return found;
  throw new Error(
    'No MariaDB binaries that run here. Install them (Debian: apt-get install mariadb-server; macOS: brew install mariadb), ' +
      'or set TEST_MYSQL_URL to a MariaDB or MySQL that runs.',
  );
}
