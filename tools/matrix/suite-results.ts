import { relative, sep } from 'node:path';
import { SUITES, type Suite } from './options';

/** What `jest --json` writes, as far as it is read here. */
export interface JestResults {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export interface Failure {
  readonly file: string;
  readonly test: string;
  /** The first lines of what Jest said. */
  readonly reason: string;
}

export interface SuiteResult {
  readonly passed: number;
  readonly failures: readonly Failure[];
}

const REASON_LINES = 6;
// eslint-disable-next-line no-control-regex -- Jest colours its messages
const COLOURS = /\u001b\[\d+m/g;

/**
 * Sorts what Jest reports into the suites. A file that failed although none of its tests did (it cannot be loaded, or leaves
 * something open) counts as one failure.
 *
 * @param root folder in which it ran
 */
export function resultsBySuite(results: JestResults, root: string): Partial<Record<Suite, SuiteResult>> {
  const suites: Partial<Record<Suite, SuiteResult>> = {};
  for (const { name, status, message, assertionResults } of results.testResults) {
    const file = relative(root, name);
    const suite = SUITES.find((known) => file.startsWith(['test', known, ''].join(sep)));
    if (!suite) continue;
    const before = suites[suite] ?? { passed: 0, failures: [] };
    const failures = assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => ({ file, test: test.fullName, reason: beginningOf(test.failureMessages[0] ?? '') }));
    if (status === 'failed' && failures.length === 0)
      failures.push({ file, test: 'the file itself', reason: beginningOf(message) });
    suites[suite] = {
      passed: before.passed + assertionResults.filter((test) => test.status === 'passed').length,
      failures: [...before.failures, ...failures],
    };
  }
  return suites;
}

function beginningOf(message: string): string {
  const lines = message.replace(COLOURS, '').split('\n');
  return lines
    .filter((line) => line.trim() !== '')
    .slice(0, REASON_LINES)
    .join('\n');
}
