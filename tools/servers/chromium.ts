import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackage, mayInstall } from './install-package';

/** The one that has no window of its own first: there is less to draw. */
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const PACKAGE = 'chromium-headless-shell';

export type Chromium = { readonly path: string } | { readonly missing: string };

/** A Chromium that is here: `CHROMIUM`, or one on the path. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env.CHROMIUM;
  if (named !== undefined && named !== '') return named;
  return (env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** As `findChromium`, or Debian's, installed now. */
export async function provideChromium(): Promise<Chromium> {
  const found = findChromium();
  if (found !== undefined) return { path: found };
  if (!mayInstall()) {
    return {
      missing:
        'there is no chromium on the path, and it cannot be installed here: set CHROMIUM to a Chromium or Chrome',
    };
  }
  try {
    await installPackage(PACKAGE);
  } catch (error) {
    return { missing: `it could not be installed: ${error instanceof Error ? error.message : String(error)}` };
  }
  const path = findChromium();
  return path === undefined ? { missing: 'its package was installed, and brought no program on the path' } : { path };
}

/**
 * The same before a spec is declared, where nothing can be awaited: what cannot be had is a suite that is skipped, which Jest must know then.
 */
export function provideChromiumNow(): Chromium {
  const found = findChromium();
  if (found !== undefined) return { path: found };
  const answer = execFileSync(process.execPath, ['-r', '@swc-node/register', __filename], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(answer) as Chromium;
}

if (require.main === module) void provideChromium().then((found) => process.stdout.write(JSON.stringify(found)));
