import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { createOwnedFolder } from './owned-folder';
import { freePort } from './ports';

const USUAL_IMAGE = 'mariadb:11.8';
const EMPTY_PASSWORD = { MariaDB: 'MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1', MySQL: 'MYSQL_ALLOW_EMPTY_PASSWORD=1' };
const PULL_WITHIN_MS = 600_000;
const READY_WITHIN_MS = 120_000;

/** A MariaDB or MySQL in a container, published on 127.0.0.1: user `root` without a password. The container goes with its owner. */
export interface DockerMariadb {
  /** E.g. "MySQL 8.4.3". */
  readonly version: string;
  url(): string;
  dispose(): Promise<void>;
}

export async function startDockerMariadb(image = USUAL_IMAGE): Promise<DockerMariadb> {
  const folder = createOwnedFolder();
  // A name that no other run has.
  const container = basename(folder.path);
  const port = await freePort();
  const url = `mysql://root@127.0.0.1:${port}/mysql`;
  const dispose = async (): Promise<void> => {
    await docker('rm', '--force', '--volumes', container).catch(() => undefined);
    folder.remove();
  };
  folder.cleanUpWith([`container ${container}`]);
  try {
    const product = image.startsWith('mysql:') ? 'MySQL' : 'MariaDB';
    const settings = [`${product.toUpperCase()}_ROOT_HOST=%`, EMPTY_PASSWORD[product]];
    const environment = settings.flatMap((setting) => ['--env', setting]);
    await docker('run', '--detach', '--name', container, '--publish', `127.0.0.1:${port}:3306`, ...environment, image);
    return { version: `${product} ${await versionWhenReady(url, image)}`, url: () => url, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * While its tables are made, the image runs a server that only listens on a socket.
 *
 * @returns its version, e.g. "11.8.2"
 */
async function versionWhenReady(url: string, image: string): Promise<string> {
  const end = performance.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      const version = await versionOf(url);
      return /^\d+\.\d+\.\d+/.exec(version)?.[0] ?? version;
    } catch (error) {
      if (performance.now() > end)
        throw new Error(`${image} does not answer ${READY_WITHIN_MS / 1_000} s after its start.`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function versionOf(url: string): Promise<string> {
  const connection = await createConnection({ uri: url, connectTimeout: 2_000 });
  try {
    const [[row]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
    return (row as { version: string }).version;
  } finally {
    connection.destroy();
  }
}

async function docker(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('docker', args, { timeout: PULL_WITHIN_MS });
}
