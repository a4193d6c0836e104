import { hasPassed, reportOf } from './report';
import type { RowResult } from './run-row';

const ROW: RowResult = {
  name: 'PostgreSQL 18',
  asked: { postgres: '18' },
  ran: { node: '24.21.0', nest: '11.2.10', typeorm: '1.1.1', rabbitmq: '3.10.8', postgres: '18.4', mariadb: '11.8.2' },
  suites: { contract: { passed: 12, failures: [] } },
  seconds: 60,
};
const FAILURE = { file: 'test/faults/a.int-spec.ts', test: 'holds', reason: 'Error: no\n  at x' };

describe('the table of the matrix', () => {
  it('says what ran and with what result', () => {
    expect(reportOf([ROW], ['contract'])).toBe(
      [
        '| asked for | Node | Nest | TypeORM | RabbitMQ | PostgreSQL | MySQL family | contract |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
        '| PostgreSQL 18 | 24.21.0 | 11.2.10 | 1.1.1 | 3.10.8 | 18.4 | MariaDB 11.8.2 | ✓ 12 |',
        '',
      ].join('\n'),
    );
    expect(hasPassed(ROW, ['contract'])).toBe(true);
  });

  it('says what failed, what was not found and what could not be had', () => {
    const failed: RowResult = { ...ROW, suites: { ...ROW.suites, faults: { passed: 3, failures: [FAILURE] } } };
    const absent: RowResult = { ...ROW, name: 'RabbitMQ 3.13', ran: {}, suites: {}, problem: 'start Docker' };
    const report = reportOf([failed, absent], ['contract', 'faults', 'e2e']);
    expect(report).toContain('| ✓ 12 | ✗ 1 of 4 | none found |');
    expect(report).toContain('| RabbitMQ 3.13 | – | – | – | – | – | – | not run | not run | not run |');
    expect(report).toContain('`test/faults/a.int-spec.ts`, holds: \n\n      Error: no\n        at x');
    expect(report).toContain('- **RabbitMQ 3.13**: start Docker');
    expect([hasPassed(failed, ['contract', 'faults']), hasPassed(absent, ['contract'])]).toEqual([false, false]);
  });

  it('counts a suite of which nothing was found as not passed', () => {
    expect(hasPassed(ROW, ['contract', 'e2e'])).toBe(false);
  });
});
