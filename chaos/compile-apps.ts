import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { transformFileSync } from '@swc/core';
import { isAlive } from '../tools/servers/process-table';

const ROOT = resolve(__dirname, '..');
const DIST = join(ROOT, 'dist');
const SOURCES = ['libs/reliable-mq/src', 'apps', 'chaos/apps', 'chaos/clock.ts'];

export interface CompiledApps {
  readonly order: string;
  readonly inventory: string;
  remove(): void;
}

/**
 * Compiles the apps with their library once: they are started hundreds of times, and a compiler that runs along takes seconds
 * each time. Below the project's folder, so that its node_modules is found.
 */
export function compileApps(): CompiledApps {
  mkdirSync(DIST, { recursive: true });
  removeLeftovers();
  const folder = mkdtempSync(join(DIST, `chaos-${process.pid}-`));
  for (const source of SOURCES.flatMap((name) => typescriptIn(join(ROOT, name)))) {
    const target = join(folder, relative(ROOT, source)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(target), { recursive: true });
    const { code } = transformFileSync(source, {
      cwd: ROOT,
      configFile: join(ROOT, '.swcrc'),
      sourceMaps: 'inline',
    });
    writeFileSync(target, code);
  }
  const library = join(folder, 'node_modules', 'nestjs-reliable-mq');
  mkdirSync(library, { recursive: true });
  for (const entry of packageEntries()) {
    const source = join('libs/reliable-mq/src', entry, 'index.js');
    writeFileSync(join(library, `${entry || 'index'}.js`), `module.exports = require('../../${source}');\n`);
  }
  return {
    order: join(folder, 'chaos', 'apps', 'order.js'),
    inventory: join(folder, 'chaos', 'apps', 'inventory.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What an application imports of the package, besides its manifest: '' for the package itself. */
function packageEntries(): string[] {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'libs/reliable-mq/package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, unknown>>;
  };
  return Object.keys(manifest.exports)
    .filter((name) => name !== './package.json')
    .map((name) => name.slice('./'.length));
}

/** Of harnesses that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(DIST)) {
    const pid = /^chaos-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(DIST, name), { recursive: true, force: true });
  }
}

function typescriptIn(folder: string): string[] {
  if (statSync(folder).isFile()) return [folder];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(d|spec|int-spec|e2e-spec)\.ts$/.test(name))
    .map((name) => join(folder, name));
}
