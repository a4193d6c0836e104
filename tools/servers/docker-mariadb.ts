import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { createOwnedFolder } from './owned-folder';
import { freePort } from './ports';

const IMAGE = 'mariadb:11.8';
const PULL_WITHIN_MS = 600_000;
const READY_WITHIN_MS = 120_000;

/** A MariaDB in a container, published on 127.0.0.1: user `root` without a password. The container goes with its owner. */
export interface DockerMariadb {
  readonly version: string;
  url(): string;
  dispose(): Promise<void>;
}

export async function startDockerMariadb(): Promise<DockerMariadb> {
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
    const environment = ['--env', 'MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1', '--env', 'MARIADB_ROOT_HOST=%'];
    await docker('run', '--detach', '--name', container, '--publish', `127.0.0.1:${port}:3306`, ...environment, IMAGE);
    await untilReady(url);
    return { version: `MariaDB (${IMAGE} in Docker)`, url: () => url, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** While its tables are made, the image runs a server that only listens on a socket. */
async function untilReady(url: string): Promise<void> {
  const end = performance.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      const connection = await createConnection({ uri: url, connectTimeout: 2_000 });
      await connection.end();
      return;
    } catch (error) {
      if (performance.now() > end)
        throw new Error(`${IMAGE} does not answer ${READY_WITHIN_MS / 1_000} s after its start.`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function docker(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('docker', args, { timeout: PULL_WITHIN_MS });
}
