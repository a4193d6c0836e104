import { BENCHMARKS, chosenBenchmarks } from './catalogue';
import { type BenchOptions, parseOptions, UsageError } from './options';

function chosen(...args: string[]): readonly string[] {
  return chosenBenchmarks(parseOptions(args) as BenchOptions).map(({ name }) => name);
}

describe('the benchmarks that are run', () => {
  it('are by default those that need neither much time nor other packages', () => {
    expect(chosen()).toEqual([
      'record',
      'round-trips',
      'drain',
      'scale-out',
      'latency',
      'consume',
      'saga',
      'big-table',
      'memory',
      'idle',
      'way',
    ]);
  });

  it('are with --full also those on millions of rows', () => {
    expect(chosen('--full')).toEqual(expect.arrayContaining(['big-table-10m', 'bloat', 'bloat-held']));
    expect(chosen('--full')).not.toContain('peers-drain');
  });

  it('are with --peers also the comparisons with other packages', () => {
    expect(chosen('--peers')).toEqual([...chosen(), 'peers-record', 'peers-drain', 'peers-latency']);
  });

  it('are by name those and no others, whatever they need', () => {
    expect(chosen('--only', 'peers-drain,bloat')).toEqual(['bloat', 'peers-drain']);
  });

  it('are on MariaDB those that are written for it', () => {
    expect(chosen('--database', 'mariadb')).toEqual(['record', 'drain', 'consume', 'big-table']);
    expect(() => chosen('--database', 'mariadb', '--only', 'drain,saga')).toThrow(
      new UsageError('On mariadb there is no benchmark saga; --list shows them all.'),
    );
  });

  it('are none by a name that is wrong', () => {
    expect(() => chosen('--only', 'drain,dry')).toThrow(
      new UsageError('There is no benchmark dry; --list shows them all.'),
    );
  });

  it('have names of their own', () => {
    expect(new Set(BENCHMARKS.map(({ name }) => name)).size).toBe(BENCHMARKS.length);
  });
});
