import { type Bench, type Benchmark, compare, figureOf, type Findings, inTurns } from '../benchmark';
import { spreadOf } from '../stats';
import type { WorkResult } from '../work';
import type { ClaimConfig } from '../works/claim-and-settle';

const DUE = 1_000;
/** As many as a 99th percentile of the claims needs. */
const ROUNDS = 100;
const WARM_UP_ROUNDS = 10;

const thousands = (count: number): string => count.toLocaleString('en');

/** The same rows become due beside many others, and alone. */
function bigTable(name: string, finished: number, future: number, isFull: boolean): Benchmark {
  return {
    name,
    databases: ['postgres', 'mariadb'],
    isFull,
    work: `claim and settle ${thousands(DUE)} due rows beside ${thousands(finished)} finished and ${thousands(future)} future ones`,
    baseline: `the same with only the ${thousands(DUE)}`,
    run: async (bench) => {
      const big = await prepare(bench, bench.lab.seed.others(finished, future));
      const small = await prepare(bench, []);
      const { ours, alone } = await inTurns(bench, {
        alone: () => bench.lab.run('claim-and-settle', small),
        ours: () => bench.lab.run('claim-and-settle', big),
      });
      for (const { service } of [big, small]) {
        await bench.lab.deleteQueues(`${service}.sink`);
        await bench.lab.dropDatabase(service);
      }
      return findings(name, ours, alone);
    },
  };
}

async function prepare({ lab, say }: Bench, others: readonly string[]): Promise<ClaimConfig> {
  const service = lab.name();
  if (others.length > 0) say('filling the table');
  const databaseUrl = await lab.database(service, [...lab.seed.library(), ...others, ...lab.seed.pending(DUE, true)]);
  await lab.declareSink(service);
  await lab.settle();
  return { databaseUrl, amqpUrl: lab.rabbitmq.url, service, rounds: ROUNDS, warmUpRounds: WARM_UP_ROUNDS, due: DUE };
}

function findings(name: string, ours: readonly WorkResult[], alone: readonly WorkResult[]): Findings {
  const plans = (ours[0]?.notes?.['plans'] ?? []) as readonly (readonly string[])[];
  const isByIndex = (plan: readonly string[] = []): boolean =>
    plan.length > 0 && plan.every((scan) => /^(Index|Bitmap)/.test(scan));
  return {
    figures: [
      compare(`${name}, claim of 500`, 'ms', ours, alone, figureOf('claim'), { atMost: 1.5 }),
      compare(`${name}, settle of 500`, 'ms', ours, alone, figureOf('settle'), { atMost: 1.5 }),
      {
        name: `${name}, claim p99`,
        unit: 'ms',
        ours: spreadOf(ours.map(figureOf('claimP99'))),
        target: { atMost: 10 },
      },
    ],
    failures: ['claim', 'settle'].flatMap((statement, index) =>
      isByIndex(plans[index])
        ? []
        : [`the ${statement} does not read by index: ${plans[index]?.join('; ') || 'no plan'}`],
    ),
    notes: [`claim: ${plans[0]?.join('; ')}`, `settle: ${plans[1]?.join('; ')}`],
  };
}

export const bigTableShort = bigTable('big-table', 1_000_000, 100_000, false);
export const bigTableFull = bigTable('big-table-10m', 10_000_000, 1_000_000, true);
