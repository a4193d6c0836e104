import { execFile } from 'node:child_process';

/** It takes a minute or two; on a machine that has other things to do, several. */
const WITHIN_MS = 600_000;

interface Verdict {
  readonly accepted: number;
  readonly confirmed: number;
  readonly failed: number;
  readonly violations: readonly unknown[];
  readonly faults: Readonly<Record<string, number>>;
}

/** The whole harness as a command; its long runs are `npm run chaos`. */
function chaos(
  ...args: string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    const command = ['-r', '@swc-node/register', 'chaos/main.ts', ...args];
    const child = execFile(process.execPath, command, { timeout: WITHIN_MS, maxBuffer: 2 ** 26 }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

describe('the fault harness', () => {
  it(
    'finds every promise kept while processes, servers, networks, messages and handlers fail',
    async () => {
      const { code, stdout, stderr } = await chaos(
        ...['--orders', '300', '--faults', '14', '--seed', '16', '--rate', '12', '--outage-seconds', '5', '--json'],
      );
      if (code !== 0) throw new Error(`The harness ended with ${code}:\n${stderr.slice(-20_000)}`);
      const verdict = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Verdict;
      expect(verdict.violations).toEqual([]);
      expect(verdict.accepted).toBeGreaterThanOrEqual(300);
      expect(verdict.confirmed + verdict.failed).toBeGreaterThanOrEqual(verdict.accepted);
      expect(Object.keys(verdict.faults).length).toBeGreaterThan(5);
    },
    WITHIN_MS,
  );

  it('refuses options that cannot be, before anything starts', async () => {
    const { code, stderr } = await chaos('--instances', '0', '--faults', 'many');
    expect(code).toBe(2);
    expect(stderr).toContain('--instances needs a whole number from 1 to 8, got "0".');
    expect(stderr).toContain('--faults needs a whole number from 0 to 10000, got "many".');
  });
});
