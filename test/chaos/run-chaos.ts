import { execFile } from 'node:child_process';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The whole harness as a command; its long runs are `npm run chaos`. */
export function runChaos(args: readonly string[], withinMs: number, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const command = ['-r', '@swc-node/register', 'chaos/main.ts', ...args];
    const child = execFile(
      process.execPath,
      command,
      { timeout: withinMs, maxBuffer: 2 ** 26, env: { ...process.env, ...env } },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
