import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Their packages are no part of the workspace's own install: who only works on the library needs none of them. */
export const INSTALL_COMMAND = 'npm ci --prefix bench/peers';

export class PeersNotInstalledError extends Error {
  constructor(readonly missing: readonly string[]) {
    super(`What the library is compared with is not installed (${missing.join(', ')}). Run: ${INSTALL_COMMAND}`);
  }
}

/**
 * @param folder with a package.json that lists them
 * @throws PeersNotInstalledError
 */
export function assertPeersInstalled(folder: string = __dirname): void {
  const { dependencies } = createRequire(__filename)(join(folder, 'package.json')) as {
    dependencies: Readonly<Record<string, string>>;
  };
  const missing = Object.keys(dependencies).filter((name) => !existsSync(join(folder, 'node_modules', name)));
  if (missing.length > 0) throw new PeersNotInstalledError(missing);
}

/** Loads a package from the peers' own install. Its types are not there when the workspace is checked: the caller says what it uses. */
export function requirePeer(name: string): unknown {
  return createRequire(join(__dirname, 'package.json'))(name);
}
