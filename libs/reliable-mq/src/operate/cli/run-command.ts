import { schemaScript } from '../../database/postgres/postgres-migrations';
import { suggest } from '../../input/suggest';

export interface CommandResult {
  /** For the standard output. */
  readonly output: string;
  /** For the standard error; empty when all went well. */
  readonly problem: string;
  /** 0, or 2 when the arguments are wrong. */
  readonly exitCode: 0 | 2;
}

const HELP = `Usage: nestjs-reliable-mq schema [--schema NAME]

Prints the SQL that creates the tables of nestjs-reliable-mq in PostgreSQL and brings older ones up to date, in one
transaction. Running it again changes nothing.

  --schema NAME   schema of the tables, which must exist (default: the first one in the connection's search_path)
  --help          this text

Example (without ON_ERROR_STOP, psql exits 0 although a statement failed and nothing was created):
  npx nestjs-reliable-mq schema | psql -v ON_ERROR_STOP=1 "postgres://user@localhost:5432/app"
`;

/** What the command line prints for these arguments. Reads and writes nothing. */
export function runCommand(args: readonly string[]): CommandResult {
  if (args.includes('--help') || args.includes('-h')) return { output: HELP, problem: '', exitCode: 0 };
  const [command, ...rest] = args;
  if (command === undefined) return wrong('a command is missing');
  if (command !== 'schema') return wrong(`unknown command "${command}"${didYouMean(command, ['schema'])}`);

  let schema: string | undefined;
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    const [flag = '', ...assigned] = next.split('=');
    if (flag !== '--schema') return wrong(`unknown argument "${next}"${didYouMean(flag, ['--schema', '--help'])}`);
    if (schema !== undefined) return wrong('--schema is given twice');
    schema = assigned.length > 0 ? assigned.join('=') : rest.shift();
    if (!schema || (assigned.length === 0 && schema.startsWith('--'))) return wrong('--schema needs a name after it');
  }
  return { output: schemaScript(schema), problem: '', exitCode: 0 };
}

function wrong(problem: string): CommandResult {
  return { output: '', problem: `nestjs-reliable-mq: ${problem}\n\n${HELP}`, exitCode: 2 };
}

function didYouMean(word: string, candidates: readonly string[]): string {
  const candidate = suggest(word, candidates);
  return candidate === undefined ? '' : `; did you mean "${candidate}"?`;
}
