// Prints `N passed, N failed` from what `jest --json` wrote, and fails when something failed or nothing ran.
// A file that failed although none of its tests did (it does not compile, or leaves a connection open) counts as one failure.
import { readFileSync } from 'node:fs';

const text = readFileSync(process.argv[2] ?? '', 'utf8');
const results = text === '' ? { testResults: [], success: false } : JSON.parse(text);

let passed = 0;
let failed = 0;
let skipped = 0;
for (const { status, assertionResults } of results.testResults) {
  const failedTests = assertionResults.filter((test) => test.status === 'failed').length;
  failed += status === 'failed' ? Math.max(1, failedTests) : failedTests;
  passed += assertionResults.filter((test) => test.status === 'passed').length;
  skipped += assertionResults.filter((test) => test.status !== 'failed' && test.status !== 'passed').length;
}
// Jest itself ended badly, in its global setup for example: that is in no test's result.
if (!results.success && failed === 0) failed = 1;

console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
