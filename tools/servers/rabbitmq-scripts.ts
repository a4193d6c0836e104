import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A folder with RabbitMQ's own `rabbitmq-server` and `rabbitmqctl`. */
export interface RabbitmqScripts {
  readonly server: string;
  readonly ctl: string;
}

function candidateFolders(path: string): string[] {
  const releases = '/usr/lib/rabbitmq/lib';
  return [
    ...path.split(delimiter),
    '/usr/lib/rabbitmq/bin',
    ...(existsSync(releases) ? readdirSync(releases).map((release) => join(releases, release, 'sbin')) : []),
    '/opt/rabbitmq/sbin',
    '/opt/homebrew/sbin',
    '/usr/local/sbin',
    '/usr/sbin',
  ].filter((folder) => folder !== '');
}

/** Packages put a script on the PATH that insists on the user `rabbitmq` and the system's data folder. */
function isPackageWrapper(script: string): boolean {
  return /su rabbitmq|runuser|Only root or rabbitmq/.test(readFileSync(script, 'utf8'));
}

/** The scripts of an installed RabbitMQ: those on the PATH, else where Debian, Fedora, Homebrew and the tarball put them. */
export function locateRabbitmq(path: string = process.env.PATH ?? ''): RabbitmqScripts | undefined {
  for (const folder of candidateFolders(path)) {
    const server = join(folder, 'rabbitmq-server');
    const ctl = join(folder, 'rabbitmqctl');
    if (existsSync(server) && existsSync(ctl) && !isPackageWrapper(server)) return { server, ctl };
  }
  return undefined;
}
