import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { identityOf, mentions, signal } from './process-table';

const PREFIX = 'nestjs-reliable-mq-';
const OWNER_FILE = 'owner';
const CLEANUP_FILE = 'cleanup';
/** Set in the environment of every server, so that its process can be told from another one with the same pid. */
export const FOLDER_VARIABLE = 'RELIABLE_MQ_FOLDER';

/**
 * What must end before the folder can go: a process (`QUIT 12`, `KILL -12` for its group) or a container (`container name`).
 * One per line in the folder's `cleanup` file, where the watchdog and later runs read them.
 */
export type CleanupStep = `${'QUIT' | 'KILL'} ${number}` | `container ${string}`;

export interface OwnedFolder {
  readonly path: string;
  /** What to end when the owner dies; replaces what was said before. */
  cleanUpWith(steps: readonly CleanupStep[]): void;
  /** Removes the folder. Removing twice is fine. */
  remove(): void;
}

/**
 * The shell blocks until the pipe from the owner closes, however the owner ends: normal exit, uncaught exception, SIGKILL.
 * No signal handler is needed in the owner. It ignores Ctrl-C, which reaches the whole terminal. No `ps` on slim images:
 * everything to end is in the file. What was asked to QUIT gets five seconds, unless it is a zombie already. The last loop is for servers that still write while the folder goes.
 */
const WATCHDOG = `
trap '' HUP INT TERM QUIT
cat > /dev/null
[ -d "$1" ] || exit 0
while read -r what id; do
  case "$what" in
    container) docker rm --force --volumes "$id" ;;
    *) kill -s "$what" -- "$id" ;;
  esac
done < "$1/${CLEANUP_FILE}"
runs() {
  kill -s 0 -- "$1" || return 1
  case "$(cat "/proc/$1/stat")" in *') Z '*) return 1 ;; esac
}
tries=0
while read -r what id; do
  [ "$what" = QUIT ] || continue
  while runs "$id" && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
  kill -s KILL -- "$id"
done < "$1/${CLEANUP_FILE}"
tries=0
while [ -d "$1" ] && [ "$tries" -lt 50 ]; do rm -rf -- "$1"; tries=$((tries + 1)); [ -d "$1" ] && sleep 0.1; done
`;

/**
 * A new folder under the system's temporary folder that goes when this process ends, together with what runs in it. Others
 * may enter it (servers run as another user), but not list it.
 */
export function createOwnedFolder(): OwnedFolder {
  removeStaleFolders();
  const path = mkdtempSync(join(tmpdir(), PREFIX));
  chmodSync(path, 0o711);
  writeFileSync(join(path, OWNER_FILE), `${hostname()} ${identityOf(process.pid) ?? ''}\n`);
  writeFileSync(join(path, CLEANUP_FILE), '');
  const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'reliable-mq-watchdog', path], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', () => undefined); // without a shell only the next start cleans up
  watchdog.stdin.on('error', () => undefined);
  // Neither may keep the owner alive.
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return {
    path,
    cleanUpWith: (steps) => writeFileSync(join(path, CLEANUP_FILE), steps.map((step) => `${step}\n`).join('')),
    remove: () => {
      rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
      watchdog.stdin.end();
    },
  };
}

/**
 * Removes folders, and ends what runs in them, whose owner died together with its watchdog (a container that was killed, a
 * power cut).
 *
 * @returns the folders that are gone
 */
export function removeStaleFolders(parent: string = tmpdir()): string[] {
  const removed: string[] = [];
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(parent, name);
    try {
      const [host, owner = ''] = readFileSync(join(folder, OWNER_FILE), 'utf8').trim().split(' ');
      if (host !== hostname() || owner === identityOf(Number.parseInt(owner, 10))) continue;
      readFileSync(join(folder, CLEANUP_FILE), 'utf8')
        .split('\n')
        .forEach((line) => endStale(line, folder));
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
      removed.push(basename(folder));
    } catch {
      // another user's, half made, or gone meanwhile: not ours to remove
    }
  }
  return removed;
}

function endStale(line: string, folder: string): void {
  const [what, id] = line.split(' ');
  if (what === 'container' && id) spawnSync('docker', ['rm', '--force', '--volumes', id], { stdio: 'ignore' });
  else if ((what === 'QUIT' || what === 'KILL') && mentions(Math.abs(Number(id)), folder))
    signal(Number(id), `SIG${what}`);
}
