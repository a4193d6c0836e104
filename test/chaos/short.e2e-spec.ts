import { runChaos } from './run-chaos';

/** It takes a minute or two; on a machine that has other things to do, several. */
const WITHIN_MS = 600_000;

interface Verdict {
  readonly accepted: number;
  readonly confirmed: number;
  readonly failed: number;
  readonly violations: readonly unknown[];
  readonly faults: Readonly<Record<string, number>>;
}

describe('the fault harness', () => {
  it(
    'finds every promise kept while processes, servers, networks, messages and handlers fail',
    async () => {
      const { code, stdout, stderr } = await runChaos(
        ['--orders', '300', '--faults', '14', '--seed', '16', '--rate', '12', '--outage-seconds', '5', '--json'],
        WITHIN_MS,
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
});
