import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildPage } from '../console/build-page';
import { compileLibrary } from './compile-library';

const ROOT = resolve(__dirname, '../..');
const LIBRARY = join(ROOT, 'libs/reliable-mq');

/** What is packed beside the compiled code, by its path in the repository and in the package: pages link to each other by it. */
export const PACKED_PAGES: readonly string[] = [
  'README.md',
  'README.zh-CN.md',
  'LICENSE',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'docs',
];

/** What lies beside the source and is not part of it, or is packed as the bundle that is made of it. */
const NOT_SOURCE = /\.(spec|fixture)\.ts$|\/src\/console\/(ui|public)$/;

/** Where each of the formats looks for the console's page: beside its own code. */
const PAGES = ['dist/cjs/console/public', 'dist/esm/console/public'];

interface Manifest {
  readonly name: string;
  readonly version: string;
}

/**
 * Compiles the library and makes an installable tarball of it.
 *
 * @param folder where the tarball goes, beside a folder with the files that are in it; earlier ones are removed
 * @returns path of the tarball
 */
export function packLibrary(folder: string = join(ROOT, 'dist/pack')): string {
  const { name, version } = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8')) as Manifest;
  const staging = join(folder, name);
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  for (const file of readdirSync(folder)) {
    if (file.endsWith('.tgz')) rmSync(join(folder, file));
  }

  compileLibrary(LIBRARY, staging);
  for (const page of PAGES) buildPage(join(staging, page));
  // The source maps lead to it: stack traces, and "go to definition", show what was written.
  cpSync(join(LIBRARY, 'src'), join(staging, 'src'), { recursive: true, filter: (path) => !NOT_SOURCE.test(path) });
  cpSync(join(LIBRARY, 'package.json'), join(staging, 'package.json'));
  for (const page of PACKED_PAGES) {
    if (existsSync(join(ROOT, page))) cpSync(join(ROOT, page), join(staging, page), { recursive: true });
  }

  run('npm', ['pack', staging, '--pack-destination', folder, '--ignore-scripts', '--silent']);
  return join(folder, `${name}-${version}.tgz`);
}

/** Runs a program. @throws Error with all that it printed when it fails */
function run(program: string, args: readonly string[]): void {
  try {
    execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}
