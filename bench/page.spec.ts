import { chartOf } from './chart';
import { pageOf } from './page';
import type { Result } from './report';

const one = { median: 1, min: 1, max: 1 };

function result(node: string, ours: number): Result {
  return {
    surroundings: {
      commit: 'abc',
      processor: 'a <fast> one',
      cores: 2,
      memoryGb: 24,
      node,
      servers: ['PostgreSQL 15'],
    },
    runs: 3,
    seconds: 1,
    load: [1, 2],
    benchmarks: [
      {
        name: 'record',
        work: '',
        baseline: '',
        failures: [],
        notes: [],
        figures: [
          {
            name: 'record, by hand',
            unit: 'per s',
            ours: { median: ours, min: ours, max: ours },
            baseline: { median: 2_000, min: 2_000, max: 2_000 },
            ratio: { median: ours / 2_000, min: 0.1, max: 2 },
            target: { atLeast: 0.9 },
            cpuMsPer1000: { ours: { node: 250, database: 200, rabbitmq: 50 }, baseline: { node: 125 } },
          },
          { name: 'way, files', unit: '', ours: one },
        ],
      },
    ],
  };
}

describe('the page of benchmarks', () => {
  const { markdown, charts } = pageOf([result('v20.1.0', 1_000), result('v24.1.0', 1_900)]);

  it('begins with what one core does in a second, without and with the servers', () => {
    expect(markdown).toContain('| record, by hand | v20.1.0 | 4,000 | 2,000 | 8,000 | 8,000 |');
  });

  it('has each figure on each Node, with its ratio and whether the goal is met', () => {
    expect(markdown).toContain('| v20.1.0 | 1,000 per s | 2,000 per s | 0.50 (0.10 to 2.00) |');
    expect(markdown).toContain('| v24.1.0 | 1,900 per s | 2,000 per s | 0.95 (0.10 to 2.00) |');
    expect(markdown).toContain('Goal: at least 0.9, missed.');
  });

  it('has a chart for each figure', () => {
    expect(Object.keys(charts)).toEqual(['record-by-hand.svg', 'way-files.svg']);
    expect(markdown).toContain('![record, by hand](img/bench/record-by-hand.svg)');
  });
});

it('a chart escapes what it is given', () => {
  expect(chartOf('<a & "b">', [{ label: '<', value: 1, text: '>', isOurs: true }])).toContain(
    '&lt;a &amp; &quot;b&quot;&gt;',
  );
});
