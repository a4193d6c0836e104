import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestDatabase } from './database';

/** A consistent copy of a database, made beside those who work on it, as a nightly dump is. */
export interface Backup {
  /** Sets the database back to that moment. Nobody may be connected with a transaction open. */
  restore(): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * With the tools that databases are backed up with: pg_dump and pg_restore, or mariadb-dump and mariadb.
 * @throws Error when a tool is missing, or refuses: the one of a release that is older than the server's does
 */
export async function backUp({ kind, url }: Pick<TestDatabase, 'kind' | 'url'>): Promise<Backup> {
  const folder = await mkdtemp(join(tmpdir(), 'rmq-backup-'));
  const file = join(folder, 'dump');
  const dispose = (): Promise<void> => rm(folder, { recursive: true, force: true });
  if (kind === 'postgres') {
    await run('pg_dump', ['--format=custom', `--file=${file}`, url]);
    const args = ['--clean', '--if-exists', '--single-transaction', '--no-owner', `--dbname=${url}`, file];
    return { dispose, restore: () => run('pg_restore', args) };
  }
  const { hostname, port, username, password, pathname } = new URL(url);
  const server = [
    `--host=${hostname}`,
    `--port=${port || '3306'}`,
    `--user=${decodeURIComponent(username)}`,
    ...(password ? [`--password=${decodeURIComponent(password)}`] : []),
  ];
  const name = decodeURIComponent(pathname.slice(1));
  // Bytes are written as hexadecimal digits, so that no character set touches them.
  await run('mariadb-dump', [...server, '--single-transaction', '--hex-blob', `--result-file=${file}`, name]);
  return { dispose, restore: () => run('mariadb', [...server, name], file) };
}

/**
 * Why no backup can be made here, for people; undefined when one can. A slim machine has no client tools, and pg_dump refuses a server that is
 * newer than itself.
 */
export async function noBackup({ kind, query }: Pick<TestDatabase, 'kind' | 'query'>): Promise<string | undefined> {
  const tool = kind === 'postgres' ? 'pg_dump' : 'mariadb-dump';
  const { status, stdout } = spawnSync(tool, ['--version'], { encoding: 'utf8' });
  if (status !== 0) return `${tool} is not installed`;
  if (kind !== 'postgres') return undefined;
  const [row] = await query<{ server_version: string }>('SHOW server_version');
  const majorOf = (text: string): number => Number(/\d+/.exec(text));
  const server = row?.server_version ?? '';
  return majorOf(stdout) < majorOf(server) ? `${stdout.trim()} is older than the server's ${server}` : undefined;
}

/** @param input file for its standard input */
async function run(tool: string, args: readonly string[], input?: string): Promise<void> {
  const source = input === undefined ? undefined : await open(input);
  try {
    await new Promise<void>((resolve, reject) => {
      const child = execFile(tool, [...args], (error, _stdout, stderr) => {
        if (!error) resolve();
        else
          reject(new Error(`${tool} failed: ${stderr || error.message}. It comes with the database's client tools.`));
      });
      if (source && child.stdin) source.createReadStream({ autoClose: false }).pipe(child.stdin);
    });
  } finally {
    await source?.close();
  }
}
