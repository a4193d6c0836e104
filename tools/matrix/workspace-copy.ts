import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './run-command';
import { NEST, TYPEORM, type Versions } from './versions';

const NOT_COPIED: readonly string[] = ['node_modules', 'dist', 'coverage', '.tmp', '.git'];
const INSTALLED_FILE = 'installed-versions';

/**
 * A copy of the workspace in which other versions of Nest or TypeORM are installed. Its files are copied anew for each run, its
 * packages stay.
 *
 * @returns its folder; the workspace itself when none is asked for
 */
export async function workspaceWith(row: Versions, root: string, cache: string): Promise<string> {
  if (row.nest === undefined && row.typeorm === undefined) return root;
  const parts = [row.nest && `nest-${row.nest}`, row.typeorm && `typeorm-${row.typeorm}`];
  const copy = join(cache, ['workspace', ...parts].filter((part) => part !== undefined).join('-'));
  mkdirSync(copy, { recursive: true });
  for (const entry of readdirSync(copy)) {
    if (entry !== 'node_modules' && entry !== INSTALLED_FILE) rmSync(join(copy, entry), { recursive: true });
  }
  for (const entry of readdirSync(root)) {
    if (!NOT_COPIED.includes(entry)) cpSync(join(root, entry), join(copy, entry), { recursive: true });
  }
  if (!existsSync(join(copy, INSTALLED_FILE))) {
    const packages = { ...NEST[row.nest ?? ''], ...TYPEORM[row.typeorm ?? ''] };
    const wanted = Object.entries(packages).map(([name, range]) => `${name}@${range}`);
    // Development dependencies of the workspace may not have them among their peers yet.
    const flags = ['--no-save', '--legacy-peer-deps', '--ignore-scripts', '--prefer-offline'];
    await runCommand('npm', ['install', ...flags, ...wanted], { cwd: copy });
    writeFileSync(join(copy, INSTALLED_FILE), `${wanted.join('\n')}\n`);
  }
  return copy;
}
