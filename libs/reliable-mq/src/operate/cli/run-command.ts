import { DATABASE_NAMES, schemaScript } from '../../database/databases';
import { suggest } from '../../input/suggest';

export interface CommandResult {
  /** For the standard output. */
  readonly output: string;
  /** For the standard error; empty when all went well. */
  readonly problem: string;
  /** 0, or 2 when the arguments are wrong. */
  readonly exitCode: 0 | 2;
}

const HELP = `Usage: nestjs-reliable-mq schema [--schema NAME] [--prefix PREFIX] [--database ${DATABASE_NAMES.join('|')}]

Prints the SQL that creates the tables of nestjs-reliable-mq and brings older ones up to date. Indexes of large tables are built
beside the application that runs. Running it again goes on where it was interrupted, or changes nothing.

  --schema NAME     schema of the tables, which must exist (default: the first one in the connection's search_path)
  --prefix PREFIX   what the names of the tables begin with: entityPrefix of the DataSource (default: nothing)
  --database KIND   ${DATABASE_NAMES.join(' or ')} (default: ${DATABASE_NAMES[0] ?? ''})
  --help            this text

Example (without ON_ERROR_STOP, psql exits 0 although a statement failed and nothing was created):
  npx nestjs-reliable-mq schema | psql -v ON_ERROR_STOP=1 "postgres://user@localhost:5432/app"
`;

const FLAGS = ['--schema', '--prefix', '--database'] as const;
type Flag = (typeof FLAGS)[number];

/** What the command line prints for these arguments. Reads and writes nothing. */
export function runCommand(args: readonly string[]): CommandResult {
  if (args.includes('--help') || args.includes('-h')) return { output: HELP, problem: '', exitCode: 0 };
  const [command, ...rest] = args;
  if (command === undefined) return wrong('a command is missing');
  if (command !== 'schema') return wrong(`unknown command "${command}"${didYouMean(command, ['schema'])}`);

  const given = new Map<Flag, string>();
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    const [name = '', ...assigned] = next.split('=');
    const flag = FLAGS.find((each) => each === name);
    if (!flag) return wrong(`unknown argument "${next}"${didYouMean(name, [...FLAGS, '--help'])}`);
    if (given.has(flag)) return wrong(`${flag} is given twice`);
    const value = assigned.length > 0 ? assigned.join('=') : rest.shift();
    if (!value || (assigned.length === 0 && value.startsWith('--'))) return wrong(`${flag} needs a name after it`);
    given.set(flag, value);
  }
  const kind = given.get('--database');
  const database = DATABASE_NAMES.find((name) => name === kind);
  if (kind !== undefined && !database) {
    return wrong(
      `there is no database "${kind}" (there is ${DATABASE_NAMES.join(', ')})${didYouMean(kind, DATABASE_NAMES)}`,
    );
  }
  const output = schemaScript(given.get('--schema'), { prefix: given.get('--prefix'), database, online: true });
  return { output, problem: '', exitCode: 0 };
}

function wrong(problem: string): CommandResult {
  return { output: '', problem: `nestjs-reliable-mq: ${problem}\n\n${HELP}`, exitCode: 2 };
}

function didYouMean(word: string, candidates: readonly string[]): string {
  const candidate = suggest(word, candidates);
  return candidate === undefined ? '' : `; did you mean "${candidate}"?`;
}
