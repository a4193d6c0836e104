import { parseArgs } from 'node:util';
import { type Axis, KNOWN, type Versions } from './versions';

export const SUITES = ['contract', 'faults', 'integration', 'e2e', 'package'] as const;
export type Suite = (typeof SUITES)[number];

export interface MatrixOptions {
  /** The one row that is asked for; empty: a row for each version of each axis. */
  readonly versions: Versions;
  readonly suites: readonly Suite[];
  /** File for the table as Markdown. */
  readonly report: string | undefined;
  readonly json: boolean;
  readonly list: boolean;
}

const AXES = Object.keys(KNOWN) as Axis[];

export const USAGE = `Usage: npm run matrix -- [options]

${AXES.map((axis) => `  --${axis.padEnd(14)}one of ${KNOWN[axis].join(', ')}`).join('\n')}
                  together they make one row; without any: a row for each version of each, the rest being what is here
  --suites a,b    of ${SUITES.join(', ')} (default: all)
  --report FILE   write the table as Markdown
  --list          print the rows, and start nothing
  --json          progress goes to stderr, the result as one JSON object to stdout
  --help

What is fetched stays in .tmp/matrix: Node and PostgreSQL from npm; RabbitMQ and MariaDB from a release of Debian in a folder of
their own (on Debian or its kin, as root), else in Docker; MySQL in Docker; Nest and TypeORM in a copy of this workspace.

Exit status: 0 all passed, 1 a test failed or a version could not be had, 2 bad options.
`;

export class UsageError extends Error {}

/**
 * @returns undefined when only help is wanted
 * @throws UsageError with every problem
 */
export function parseOptions(args: readonly string[]): MatrixOptions | undefined {
  const values = read(args);
  if (values.help) return undefined;
  const problems: string[] = [];
  const choose = <Name extends string>(option: string, value: string, known: readonly Name[]): Name => {
    const found = known.find((name) => name === value);
    if (found === undefined) problems.push(`--${option} knows ${known.join(', ')}, not ${JSON.stringify(value)}.`);
    return found ?? (value as Name);
  };
  const versions = Object.fromEntries(
    AXES.flatMap((axis) => {
      const value = values[axis];
      return value === undefined ? [] : [[axis, choose(axis, value, KNOWN[axis])]];
    }),
  );
  if (versions.mariadb !== undefined && versions.mysql !== undefined)
    problems.push('--mariadb and --mysql make two rows: give one of them.');
  const suites = values.suites?.split(',').map((suite) => choose('suites', suite, SUITES)) ?? SUITES;
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return { versions, suites, report: values.report, json: values.json ?? false, list: values.list ?? false };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        node: { type: 'string' },
        nest: { type: 'string' },
        typeorm: { type: 'string' },
        rabbitmq: { type: 'string' },
        postgres: { type: 'string' },
        mariadb: { type: 'string' },
        mysql: { type: 'string' },
        suites: { type: 'string' },
        report: { type: 'string' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
