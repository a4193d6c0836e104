import { buildSync } from 'esbuild';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const CONSOLE = join(ROOT, 'libs/reliable-mq/src/console');
const UI = join(CONSOLE, 'ui');

/** Where the console looks for its page when it runs from its source. */
export const SOURCE_PAGE = join(CONSOLE, 'public');

export const PAGE_FILES = ['index.html', 'console.js', 'console.css'] as const;

/**
 * Bundles the console's page: `index.html`, with `__NONCE__` where the server puts the nonce of its policy, `console.js` and `console.css`.
 * A page that is there is replaced file by file, so that a server beside it never reads half of one.
 *
 * @throws Error with what esbuild found wrong
 */
export function buildPage(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const fresh = mkdtempSync(join(folder, '.building-'));
  try {
    buildSync({
      absWorkingDir: ROOT,
      entryPoints: [
        { in: join(UI, 'main.tsx'), out: 'console' },
        { in: join(UI, 'console.css'), out: 'console' },
      ],
      outdir: fresh,
      bundle: true,
      minify: true,
      format: 'iife',
      charset: 'utf8',
      target: ['chrome109', 'firefox115', 'safari16.4'],
      legalComments: 'none',
      tsconfig: join(UI, 'tsconfig.json'),
      logLevel: 'silent',
    });
    copyFileSync(join(UI, 'index.html'), join(fresh, 'index.html'));
    for (const file of PAGE_FILES) renameSync(join(fresh, file), join(folder, file));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Builds the page of a console that runs from its source, unless it is there and newer than what it is made of. */
export function ensurePage(): void {
  const sources = readdirSync(UI, { recursive: true, encoding: 'utf8' }).map((file) => join(UI, file));
  const newest = Math.max(...[...sources, join(CONSOLE, 'api.ts'), __filename].map(modifiedMs));
  const oldestBuilt = Math.min(...PAGE_FILES.map((file) => modifiedMs(join(SOURCE_PAGE, file))));
  if (oldestBuilt <= newest) buildPage(SOURCE_PAGE);
}

/** 0: there is no such file. */
function modifiedMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

if (require.main === module) {
  const folders = process.argv.slice(2);
  for (const folder of folders.length > 0 ? folders : [SOURCE_PAGE]) {
    buildPage(resolve(folder));
    process.stdout.write(`${relative(process.cwd(), resolve(folder))}/{${PAGE_FILES.join(',')}}\n`);
  }
}
