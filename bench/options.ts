import { parseArgs } from 'node:util';

/** What is measured on; of the others only what its benchmark has. */
export const DATABASE_KINDS = ['postgres', 'mariadb'] as const;
export type DatabaseKind = (typeof DATABASE_KINDS)[number];

export interface BenchOptions {
  readonly database: DatabaseKind;
  /** Names of benchmarks; empty: the default set. */
  readonly only: readonly string[];
  /** Measurements of each side, one after the other in turns. */
  readonly runs: number;
  /** Also what takes long: millions of rows. */
  readonly full: boolean;
  /** Also what other packages do beside the library. */
  readonly peers: boolean;
  readonly json: boolean;
  readonly list: boolean;
  /** Folder for CPU profiles. */
  readonly profile: string | undefined;
  /** File for the table as Markdown. */
  readonly report: string | undefined;
  /** Major version of Node that the measured processes run on; undefined: the present one. */
  readonly node: string | undefined;
}

export const USAGE = `Usage: npm run bench -- [options]

  --only a,b       only these benchmarks (see --list)
  --runs R         measurements of each side, in turns, 1 to 20 (default 3)
  --database D     postgres (default) or mariadb, of which there are fewer benchmarks (see --list)
  --full           also what works on millions of rows (an hour)
  --peers          also other packages as an outbox, beside the library (they need: npm ci --prefix bench/peers)
  --profile DIR    write a CPU profile of every measured process to DIR
  --report FILE    write the table as Markdown
  --node M         run the measured processes on Node M (22, 24 …), fetched from npm
  --list           print what is measured, and start nothing
  --json           progress goes to stderr, the result as one JSON object to stdout
  --help

Exit status: 0 measured (whatever the figures), 1 a check failed (lost or doubled events), 2 bad options.
`;

export class UsageError extends Error {}

/**
 * @returns undefined when only help is wanted
 * @throws UsageError
 */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = read(args);
  if (values.help) return undefined;
  const runs = values.runs ?? '3';
  if (!/^\d{1,2}$/.test(runs) || Number(runs) < 1 || Number(runs) > 20)
    throw new UsageError(`--runs needs a whole number from 1 to 20, got ${JSON.stringify(runs)}.`);
  return {
    database: readDatabase(values.database),
    only: (values.only ?? '').split(',').filter((name) => name !== ''),
    runs: Number(runs),
    full: values.full ?? false,
    peers: values.peers ?? false,
    json: values.json ?? false,
    list: values.list ?? false,
    profile: values.profile,
    report: values.report,
    node: readNode(values.node),
  };
}

function readDatabase(database = 'postgres'): DatabaseKind {
  const kind = DATABASE_KINDS.find((each) => each === database);
  if (!kind) throw new UsageError(`--database needs ${DATABASE_KINDS.join(' or ')}, got ${JSON.stringify(database)}.`);
  return kind;
}

function readNode(node: string | undefined): string | undefined {
  if (node !== undefined && !/^\d{2}$/.test(node))
    throw new UsageError(`--node needs a major version of Node, got ${JSON.stringify(node)}.`);
  return node;
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        database: { type: 'string' },
        only: { type: 'string' },
        runs: { type: 'string' },
        full: { type: 'boolean' },
        peers: { type: 'boolean' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        profile: { type: 'string' },
        report: { type: 'string' },
        node: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
