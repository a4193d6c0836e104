import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

const INSTALL_WITHIN_MS = 600_000;

export type ServerPackage = 'rabbitmq-server' | 'mariadb-server' | 'chromium-headless-shell';

/**
 * Debian starts a service when its package is installed, unless /usr/sbin/policy-rc.d says no: it says so just for this
 * moment. The shell puts the former state back in every case, and finishes even when the process that asked is killed.
 * The package lists may be missing (slim images) or out of date, hence the second attempt.
 */
const INSTALL = `
policy=/usr/sbin/policy-rc.d
restore() { rm -f "$policy"; [ -e "$policy.reliable-mq" ] && mv -f "$policy.reliable-mq" "$policy"; return 0; }
trap restore EXIT
trap '' HUP INT TERM
[ -e "$policy" ] && mv -f "$policy" "$policy.reliable-mq"
printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy" || exit 1
install() { apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "$package"; }
install || { apt-get update && install; }
`;

/** Whether packages can be installed here: Debian or one of its kind, as root. */
export function mayInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get') && existsSync('/etc/debian_version');
}

/** One after the other: each puts back what it has found. */
let installing: Promise<unknown> = Promise.resolve();

/**
 * Installs a server from Debian's packages without starting its service. Takes a minute or so.
 * @throws Error with the end of what apt-get has said
 */
export function installPackage(name: ServerPackage): Promise<void> {
  const installed = installing.then(() => install(name));
  installing = installed.catch(() => undefined);
  return installed;
}

async function install(name: ServerPackage): Promise<void> {
  process.stderr.write(`apt-get install ${name}, without starting its service …\n`);
  const output: string[] = [];
  const child = spawn('/bin/sh', ['-c', INSTALL], {
    cwd: '/',
    detached: true,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', package: name },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const code = await new Promise<number | string>((resolve, reject) => {
    const timer = setTimeout(() => resolve(`none after ${INSTALL_WITHIN_MS} ms`), INSTALL_WITHIN_MS);
    child.once('error', reject);
    child.once('exit', (exitCode, signalName) => {
      clearTimeout(timer);
      resolve(exitCode ?? signalName ?? 'unknown');
    });
  });
  if (code !== 0) {
    throw new Error(`apt-get install ${name} failed (exit code ${code}):\n${output.join('').slice(-2_000)}`);
  }
}
