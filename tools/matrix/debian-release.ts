import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mayInstall } from '../servers/install-package';
import { runCommand } from './run-command';

/** A server of a release: the folder with its programs, which run inside the release, and its version. */
export interface ProgramsOfDebian {
  readonly folder: string;
  readonly version: string;
}

/**
 * Runs a program inside a release's folder, in a mount namespace of its own: what is mounted goes with the program. The servers'
 * folders are under the temporary folder and have the same path inside. Who is not root (a database server is not) may mount
 * in a user namespace, and stays who he is.
 */
const enter = (root: string): string => `#!/bin/sh
if [ "$(id -u)" = 0 ]; then namespaces=--mount; else namespaces='--mount --user --map-current-user --keep-caps'; fi
exec unshare $namespaces sh -c '
  root=$1; shift
  if [ "$(id -u)" = 0 ]; then mount -t proc proc "$root/proc" || exit; fi
  mount --rbind /dev "$root/dev" && mount --rbind "${tmpdir()}" "$root${tmpdir()}" && exec chroot "$root" "$@"
' enter "${root}" "$@"
`;

/** As an own file system, services that a package would start must not start. The lists of testing are said to be valid for a week only. */
const install = (pack: string): string => `
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
apt-get -o Acquire::Check-Valid-Until=false update && apt-get install --yes --no-install-recommends ${pack}
`;

/** Whether a release of Debian can be laid into a folder here. */
export function mayUseDebian(): boolean {
  return process.platform === 'linux' && mayInstall();
}

/** RabbitMQ of another release of Debian, in a folder. Takes a minute or two the first time. */
export async function rabbitmqOfDebian(release: string, cache: string): Promise<ProgramsOfDebian> {
  const { root, programs } = await releaseWith('rabbitmq-server', release, cache);
  const inRelease = 'usr/lib/rabbitmq/lib';
  const installed = readdirSync(join(root, inRelease)).find((name) => name.startsWith('rabbitmq_server-'));
  if (installed === undefined)
    throw new Error(`Debian ${release} in ${root} has no RabbitMQ. Remove it, and run again.`);
  const folder = programs('rabbitmq-server', 'rabbitmqctl')(`/${inRelease}/${installed}/sbin`);
  return { folder, version: installed.replace('rabbitmq_server-', '') };
}

/** MariaDB of another release of Debian, in a folder. Takes a minute or two the first time. */
export async function mariadbOfDebian(release: string, cache: string): Promise<ProgramsOfDebian> {
  const { programs } = await releaseWith('mariadb-server', release, cache);
  programs('mariadb-install-db')('/usr/bin');
  const folder = programs('mariadbd')('/usr/sbin');
  const said = await runCommand(join(folder, 'mariadbd'), ['--no-defaults', '--version']);
  return { folder, version: /\d+\.\d+\.\d+/.exec(said)?.[0] ?? 'unknown' };
}

interface Release {
  readonly root: string;
  /** Makes programs of the release's folder callable from outside. @returns the folder that they are in */
  readonly programs: (...names: readonly string[]) => (inRelease: string) => string;
}

async function releaseWith(pack: string, release: string, cache: string): Promise<Release> {
  const target = join(cache, `debian-${release}-${pack}`);
  const root = join(target, 'root');
  const enterRoot = join(target, 'enter');
  if (!existsSync(root)) {
    await installDebootstrap();
    const unfinished = join(target, 'unfinished');
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    await runCommand('debootstrap', ['--variant=minbase', release, unfinished]);
    mkdirSync(join(unfinished, tmpdir()), { recursive: true });
    writeProgram(enterRoot, enter(unfinished));
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await runCommand(enterRoot, ['sh', '-ec', install(pack)], { env });
    renameSync(unfinished, root);
  }
  writeProgram(enterRoot, enter(root));
  const folder = join(target, 'bin');
  mkdirSync(folder, { recursive: true });
  const programs: Release['programs'] =
    (...names) =>
    (inRelease) => {
      for (const name of names)
        writeProgram(join(folder, name), `#!/bin/sh\nexec "${enterRoot}" "${inRelease}/${name}" "$@"\n`);
      return folder;
    };
  return { root, programs };
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
