import { parseOptions, UsageError } from './options';

describe('options of the benchmarks', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toEqual({
      database: 'postgres',
      only: [],
      runs: 3,
      full: false,
      peers: false,
      json: false,
      list: false,
      profile: undefined,
      report: undefined,
    });
  });

  it('are read', () => {
    const args = [
      '--database',
      'mariadb',
      '--only',
      'record,drain',
      '--runs=5',
      '--full',
      '--peers',
      '--json',
      '--profile',
      'p',
      '--report',
      'r.md',
    ];
    expect(parseOptions(args)).toEqual({
      database: 'mariadb',
      only: ['record', 'drain'],
      runs: 5,
      full: true,
      peers: true,
      json: true,
      list: false,
      profile: 'p',
      report: 'r.md',
    });
  });

  it('ask for help', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });

  it.each([
    [['--database', 'oracle'], '--database needs postgres or mariadb, got "oracle".'],
    [['--runs', '0'], '--runs needs a whole number from 1 to 20, got "0".'],
    [['--runs', 'many'], '--runs needs a whole number from 1 to 20, got "many".'],
    [['--fast'], "Unknown option '--fast'"],
    [['record'], "Unexpected argument 'record'"],
  ])('%j are refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});
