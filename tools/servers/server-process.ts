import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { FOLDER_VARIABLE } from './owned-folder';
import { isAlive } from './process-table';

export interface ServerProcessOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  /** Both outputs are appended here: a pipe would block the server while the owner's event loop is busy. */
  readonly logFile: string;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

export interface ServerProcess {
  readonly pid: number;
  /** Why it ended, or undefined while it runs. */
  readonly ended: () => string | undefined;
  /**
   * Resolves when it has ended and its pid is free. Before that it is a zombie, which PostgreSQL's next start takes for a server that still runs
   * on its data.
   *
   * @param deadlineMs how long to wait
   * @throws Error after the deadline
   */
  readonly untilReaped: (deadlineMs: number) => Promise<void>;
}

/**
 * Starts a server in a process group of its own (Ctrl-C in the terminal reaches its owner only), which does not keep the
 * owner alive.
 */
export async function startServerProcess(
  command: string,
  args: readonly string[],
  options: ServerProcessOptions,
): Promise<ServerProcess> {
  const log = openSync(options.logFile, 'a');
  try {
    const child = spawn(command, [...args], {
      cwd: options.cwd ?? options.folder,
      env: { ...options.env, [FOLDER_VARIABLE]: options.folder },
      detached: true,
      stdio: ['ignore', log, log],
      ...(options.uid !== undefined && { uid: options.uid }),
      ...(options.gid !== undefined && { gid: options.gid }),
    });
    let reason: string | undefined;
    child.once(
      'exit',
      (code, signalName) => (reason = signalName ? `ended by ${signalName}` : `exited with code ${code}`),
    );
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.on('error', () => undefined);
    child.unref();
    const pid = child.pid as number;
    return {
      pid,
      ended: () => reason ?? (isAlive(pid) ? undefined : 'ended'),
      untilReaped: async (deadlineMs) => {
        const end = Date.now() + deadlineMs;
        while (reason === undefined) {
          if (Date.now() > end) throw new Error(`Process ${pid} has not ended after ${deadlineMs} ms.`);
          await pause(5);
        }
      },
    };
  } finally {
    closeSync(log);
  }
}

/** What a server logged; the end of it, when it is long. */
export function readLog(file: string, maxChars = 1_000_000): string {
  try {
    return readFileSync(file, 'utf8').slice(-maxChars);
  } catch {
    return '';
  }
}

/**
 * Waits for a server to be ready.
 *
 * @param ready asked every few milliseconds
 * @throws Error with the end of its log when it ended instead, or is not ready within the deadline
 */
export async function untilReady(
  what: string,
  server: ServerProcess,
  ready: () => boolean | Promise<boolean>,
  options: { logFile: string; deadlineMs: number; intervalMs: number },
): Promise<void> {
  const end = Date.now() + options.deadlineMs;
  for (;;) {
    if (await ready()) return;
    const reason = server.ended() ?? (Date.now() > end ? `is not ready after ${options.deadlineMs} ms` : undefined);
    if (reason !== undefined)
      throw new Error(`${what} ${reason}. The end of its log:\n${readLog(options.logFile, 3_000)}`);
    await pause(options.intervalMs);
  }
}
