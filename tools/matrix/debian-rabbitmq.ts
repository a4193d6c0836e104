import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mayInstall } from '../servers/install-package';
import { runCommand } from './run-command';

const RELEASES = 'usr/lib/rabbitmq/lib';

/**
 * Runs a program inside a release's folder, in a mount namespace of its own: what is mounted goes with the program. The servers'
 * folders are under the temporary folder and have the same path inside.
 */
const enter = (root: string): string => `#!/bin/sh
exec unshare --mount sh -c '
  root=$1; shift
  mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
  mkdir -p "$root${tmpdir()}" && mount --bind "${tmpdir()}" "$root${tmpdir()}" &&
  exec chroot "$root" "$@"
' enter "${root}" "$@"
`;

/** As an own file system, services that a package would start must not start. The lists of `testing` are said to be valid for a week only. */
const INSTALL = `
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
apt-get -o Acquire::Check-Valid-Until=false update && apt-get install --yes --no-install-recommends rabbitmq-server
`;

/** Whether a release of Debian can be laid into a folder here. */
export function mayUseDebian(): boolean {
  return process.platform === 'linux' && mayInstall();
}

/**
 * RabbitMQ of another release of Debian, in a folder. Takes a minute or two the first time.
 *
 * @returns the folder with `rabbitmq-server` and `rabbitmqctl`, which run inside the release, and its version
 */
export async function rabbitmqOfDebian(
  release: string,
  cache: string,
): Promise<{ readonly folder: string; readonly version: string }> {
  const target = join(cache, `debian-${release}`);
  const root = join(target, 'root');
  const enterRoot = join(target, 'enter');
  if (!existsSync(root)) {
    await installDebootstrap();
    const unfinished = join(target, 'unfinished');
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    await runCommand('debootstrap', ['--variant=minbase', release, unfinished]);
    writeProgram(enterRoot, enter(unfinished));
    await runCommand(enterRoot, ['sh', '-ec', INSTALL], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
    renameSync(unfinished, root);
  }
  writeProgram(enterRoot, enter(root));
  const installed = readdirSync(join(root, RELEASES)).find((name) => name.startsWith('rabbitmq_server-'));
  if (installed === undefined)
    throw new Error(`Debian ${release} in ${root} has no RabbitMQ. Remove ${target}, and run again.`);
  const folder = join(target, 'bin');
  mkdirSync(folder, { recursive: true });
  for (const program of ['rabbitmq-server', 'rabbitmqctl'])
    writeProgram(
      join(folder, program),
      `#!/bin/sh\nexec "${enterRoot}" "/${RELEASES}/${installed}/sbin/${program}" "$@"\n`,
    );
  return { folder, version: installed.replace('rabbitmq_server-', '') };
}

async function installDebootstrap(): Promise<void> {
  if (spawnSync('debootstrap', ['--version'], { stdio: 'ignore' }).status === 0) return;
  await runCommand('sh', [
    '-c',
    'apt-get install --yes debootstrap || { apt-get update && apt-get install --yes debootstrap; }',
  ]);
}

function writeProgram(file: string, text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}
