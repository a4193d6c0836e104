import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createOwnedFolder } from '../../tools/servers/owned-folder';

/** A machine that does much else takes its time; a process that ends is told at once. */
const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 20_000;
const CHECK_EVERY_MS = 50;

export interface AppOptions {
  /** A .js file, or a .ts file, which is compiled while it loads. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The app is ready when this url answers 2xx, or when a line that it printed matches. Without it: once it runs. */
  readonly ready?: { readonly url: string } | { readonly line: RegExp };
  /** @default 30000 */
  readonly readyWithinMs?: number;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface App {
  readonly pid: number;
  /** Resolves when the process has ended, however. */
  readonly exited: Promise<ExitStatus>;
  /** Everything printed so far, on both outputs. */
  log(): string;
  /** Ends it at once; resolves when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<ExitStatus>;
  /** Asks it to end and waits; SIGKILL and an error with its log after the deadline. */
  stop(signal?: NodeJS.Signals, withinMs?: number): Promise<ExitStatus>;
}

/** Starts an app in a Node process of its own and waits until it is ready. It does not outlive the tests. */
export async function startApp(options: AppOptions): Promise<App> {
  const folder = createOwnedFolder(); // only for its watchdog
  const compile = options.script.endsWith('.ts') ? ['-r', '@swc-node/register'] : [];
  const child = spawn(process.execPath, [...compile, options.script, ...(options.args ?? [])], {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once('close', (code, signal) => {
      folder.remove();
      resolve({ code, signal });
    });
  });
  await once(child, 'spawn');
  const pid = child.pid as number;
  folder.cleanUpWith([`KILL ${pid}`]);
  const app: App = {
    pid,
    exited,
    log: () => output,
    kill: (signal = 'SIGKILL') => {
      child.kill(signal);
      return exited;
    },
    stop: async (signal = 'SIGTERM', withinMs = STOP_WITHIN_MS) => {
      child.kill(signal);
      const status = await within(exited, withinMs);
      if (status) return status;
      child.kill('SIGKILL');
      await exited;
      throw new Error(
        `${options.script} did not end within ${withinMs} ms of ${signal}. The end of its log:\n${output.slice(-3_000)}`,
      );
    },
  };
  await untilReady(app, options);
  return app;
}

async function untilReady(app: App, { script, ready, readyWithinMs = READY_WITHIN_MS }: AppOptions): Promise<void> {
  if (!ready) return;
  const end = performance.now() + readyWithinMs;
  const saidSo = (): boolean =>
    'line' in ready &&
    app
      .log()
      .split('\n')
      .some((line) => ready.line.test(line));
  for (;;) {
    if ('line' in ready ? saidSo() : await answers(ready.url)) return;
    const ended = await within(app.exited, CHECK_EVERY_MS);
    // Between two checks a process may be ready and die, as some of them shall.
    if (saidSo()) return;
    if (!ended && performance.now() < end) continue;
    const reason = ended
      ? `ended (code ${ended.code}, signal ${ended.signal})`
      : `is not ready after ${readyWithinMs} ms`;
    await app.kill();
    throw new Error(`${script} ${reason}. The end of its log:\n${app.log().slice(-3_000)}`);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000), headers: { connection: 'close' } });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** What the promise resolves to, or undefined after that time. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
