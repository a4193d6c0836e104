import { DATABASES, type DatabaseKind } from './database';

export interface ChaosOptions {
  readonly scenario: 'faults' | 'memory';
  /** Orders that must be accepted before the load ends. */
  readonly orders: number;
  readonly faults: number;
  readonly seed: number;
  /** Of each app. */
  readonly instances: number;
  readonly cluster: boolean;
  readonly database: DatabaseKind;
  /** Orders per second. */
  readonly rate: number;
  /** Only kinds of faults whose names contain one of these texts. */
  readonly only: readonly string[];
  readonly outageSeconds: number;
  readonly basePort: number | undefined;
  readonly reportFile: string | undefined;
  readonly json: boolean;
  readonly list: boolean;
  readonly keep: boolean;
}

export const USAGE = `Usage: npm run chaos -- [options]

  --orders N          orders to be accepted under load, 1 to 1000000 (default 2000)
  --faults K          faults to inject while they come in, 0 to 10000 (default 80)
  --seed S            the same seed plans the same faults (default 1)
  --instances I       processes of each app, 1 to 8 (default 2)
  --rate R            orders per second, 1 to 1000 (default 60)
  --database D        postgres or mariadb (default postgres)
  --cluster           three RabbitMQ nodes instead of one, which are killed too
  --only a,b          only kinds of faults whose names contain a or b
  --outage-seconds S  how long the long outage of the broker takes, 1 to 3600 (default 30; memory: 600)
  --base-port P       the apps listen on P, P+1, … (default: free ports)
  --report FILE       write what was injected and what it cost as Markdown
  --scenario memory   another scenario: orders at --rate (default 200) while the broker is gone for --outage-seconds
  --list              print the kinds of faults, and start nothing
  --keep              keep the logs even if nothing is violated
  --json              progress goes to stderr, the verdict as one JSON object to stdout
  --help

Exit status: 0 nothing violated, 1 something violated (logs are kept), 2 bad options or something missing.
`;

export class UsageError extends Error {}

type Writable = { -readonly [Key in keyof ChaosOptions]: ChaosOptions[Key] };

/**
 * @returns undefined when only help is wanted
 * @throws UsageError with every problem
 */
export function parseOptions(args: readonly string[]): ChaosOptions | undefined {
  const given: Partial<Writable> = {};
  const problems: string[] = [];
  const rest = args.flatMap(splitAssignment);
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const read = READERS[name];
    if (name === '--help' || name === '-h') return undefined;
    if (!read) {
      problems.push(`Unknown option ${JSON.stringify(name)}.`);
      continue;
    }
    const problem = read(given, () => rest.shift());
    if (problem) problems.push(`${name} ${problem}`);
  }
  const scenario = given.scenario ?? 'faults';
  if (
    scenario === 'memory' &&
    (given.faults !== undefined || given.only || given.cluster || given.orders !== undefined)
  )
    problems.push(
      '--scenario memory has one fault, one node and as many orders as the rate makes: leave out --faults, --only, --cluster and --orders.',
    );
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return {
    scenario,
    orders: 2_000,
    faults: 80,
    seed: 1,
    instances: 2,
    cluster: false,
    database: 'postgres',
    rate: scenario === 'memory' ? 200 : 60,
    only: [],
    outageSeconds: scenario === 'memory' ? 600 : 30,
    basePort: undefined,
    reportFile: undefined,
    json: false,
    list: false,
    keep: false,
    ...given,
  };
}

type Reader = (given: Partial<Writable>, value: () => string | undefined) => string | undefined;

const READERS: Readonly<Record<string, Reader | undefined>> = {
  '--orders': wholeNumber('orders', 1, 1_000_000),
  '--faults': wholeNumber('faults', 0, 10_000),
  '--seed': wholeNumber('seed', 0, 2 ** 32 - 1),
  '--instances': wholeNumber('instances', 1, 8),
  '--rate': wholeNumber('rate', 1, 1_000),
  '--outage-seconds': wholeNumber('outageSeconds', 1, 3_600),
  '--base-port': wholeNumber('basePort', 1_024, 65_500),
  '--cluster': flag('cluster'),
  '--json': flag('json'),
  '--list': flag('list'),
  '--keep': flag('keep'),
  '--report': (given, value) => {
    const file = value();
    if (!file || file.startsWith('--')) return 'needs the name of a file.';
    given.reportFile = file;
    return undefined;
  },
  '--only': (given, value) => {
    const names = value()
      ?.split(',')
      .filter((name) => name !== '');
    if (!names || names.length === 0) return 'needs parts of names, with commas between them.';
    given.only = names;
    return undefined;
  },
  '--database': (given, value) => {
    const database = value();
    if (!isDatabase(database)) return `needs ${Object.keys(DATABASES).join(' or ')}, got ${JSON.stringify(database)}.`;
    given.database = database;
    return undefined;
  },
  '--scenario': (given, value) => {
    const scenario = value();
    if (scenario !== 'faults' && scenario !== 'memory')
      return `needs faults or memory, got ${JSON.stringify(scenario)}.`;
    given.scenario = scenario;
    return undefined;
  },
};

function isDatabase(name: string | undefined): name is DatabaseKind {
  return name !== undefined && Object.hasOwn(DATABASES, name);
}

function flag(key: 'cluster' | 'json' | 'list' | 'keep'): Reader {
  return (given) => {
    given[key] = true;
    return undefined;
  };
}

function wholeNumber(
  key: 'orders' | 'faults' | 'seed' | 'instances' | 'rate' | 'outageSeconds' | 'basePort',
  from: number,
  to: number,
): Reader {
  return (given, value) => {
    const text = value();
    const number = text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= from && number <= to))
      return `needs a whole number from ${from} to ${to}, got ${text === undefined ? 'nothing' : JSON.stringify(text)}.`;
    given[key] = number;
    return undefined;
  };
}

function splitAssignment(argument: string): string[] {
  const match = /^(--[\w-]+)=(.*)$/s.exec(argument);
  return match ? [match[1] ?? '', match[2] ?? ''] : [argument];
}
