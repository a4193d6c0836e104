import { resultsBySuite } from './suite-results';

const test = (status: string, fullName: string, ...failureMessages: string[]) => ({
  status,
  fullName,
  failureMessages,
});

describe('the results of a row', () => {
  it('are sorted into the suites, with what failed and why', () => {
    const results = {
      success: false,
      testResults: [
        {
          name: '/w/test/contract/a.int-spec.ts',
          status: 'failed',
          message: '',
          assertionResults: [
            test('passed', 'holds'),
            test('failed', 'broke', '\u001b[31mError: no\u001b[39m\n\n    at x'),
          ],
        },
        { name: '/w/test/contract/b.spec.ts', status: 'passed', message: '', assertionResults: [test('passed', 'b')] },
        { name: '/w/test/faults/c.int-spec.ts', status: 'failed', message: 'cannot be loaded', assertionResults: [] },
        { name: '/w/libs/d.spec.ts', status: 'passed', message: '', assertionResults: [test('passed', 'd')] },
      ],
    };
    expect(resultsBySuite(results, '/w')).toEqual({
      contract: {
        passed: 2,
        failures: [{ file: 'test/contract/a.int-spec.ts', test: 'broke', reason: 'Error: no\n    at x' }],
      },
      faults: {
        passed: 0,
        failures: [{ file: 'test/faults/c.int-spec.ts', test: 'the file itself', reason: 'cannot be loaded' }],
      },
    });
  });
});
