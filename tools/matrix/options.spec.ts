import { parseOptions, SUITES, USAGE, UsageError } from './options';
import { KNOWN } from './versions';

describe('options of the matrix', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toEqual({ versions: {}, suites: SUITES, report: undefined, json: false, list: false });
  });

  it('are read', () => {
    const args = ['--rabbitmq', '4.3', '--postgres=18', '--suites', 'faults,package', '--report', 'r.md', '--json'];
    expect(parseOptions(args)).toEqual({
      versions: { rabbitmq: '4.3', postgres: '18' },
      suites: ['faults', 'package'],
      report: 'r.md',
      json: true,
      list: false,
    });
  });

  it('are refused with all that is wrong, and with what there is instead', () => {
    const parse = (): unknown => parseOptions(['--postgres', '9', '--nest', '10', '--suites', 'contract,unit']);
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(/--nest knows .*not "10"\.\n--postgres knows .*18, not "9"\.\n--suites knows .*not "unit"\./);
    expect(() => parseOptions(['--rabbit', '4'])).toThrow(UsageError);
    expect(() => parseOptions(['--mariadb', '11.8', '--mysql', '9'])).toThrow(/two rows/);
  });

  it('are all explained', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
    for (const axis of Object.keys(KNOWN)) expect(USAGE).toContain(`--${axis} `);
  });
});
