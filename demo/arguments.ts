export interface DemoArguments {
  readonly orders: number;
  readonly json: boolean;
  /** Both services stay until the demo is interrupted. */
  readonly keep: boolean;
  /** Undefined: what is found. */
  readonly broker: 'rabbitmq' | 'memory' | undefined;
  readonly database: 'existing' | 'embedded' | 'mariadb' | undefined;
}

export const USAGE = `Usage: npm run demo -- [options]

  --orders N           how many orders, 1 to 100000 (default 60)
  --keep               leave both services running until Ctrl-C
  --json               story on stderr, the result as one JSON object on stdout
  --broker rabbitmq    fail if none answers (AMQP_URL, or one on this machine)
  --broker memory      in-memory transport, even if a RabbitMQ answers
  --database existing  fail if none answers (PGURL, or one on this machine)
  --database embedded  a private PostgreSQL, even if one answers
  --database mariadb   MariaDB or MySQL (MYSQL_URL, or one on this machine), or a private MariaDB
`;

const MAX_ORDERS = 100_000;

export class UsageError extends Error {}

/**
 * @returns undefined when only help is wanted
 * @throws UsageError
 */
export function parseArguments(args: readonly string[]): DemoArguments | undefined {
  const parsed: { -readonly [K in keyof DemoArguments]: DemoArguments[K] } = {
    orders: 60,
    json: false,
    keep: false,
    broker: undefined,
    database: undefined,
  };
  const left = args.flatMap((arg) =>
    /^--\w+=/.test(arg) ? [arg.slice(0, arg.indexOf('=')), arg.slice(arg.indexOf('=') + 1)] : [arg],
  );
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    switch (name) {
      case '--help':
      case '-h':
        return undefined;
      case '--json':
        parsed.json = true;
        break;
      case '--keep':
        parsed.keep = true;
        break;
      case '--orders':
        parsed.orders = wholeNumber(name, left.shift());
        break;
      case '--broker':
        parsed.broker = oneOf(name, left.shift(), ['rabbitmq', 'memory'] as const);
        break;
      case '--database':
        parsed.database = oneOf(name, left.shift(), ['existing', 'embedded', 'mariadb'] as const);
        break;
      default:
        throw new UsageError(`Unknown argument ${JSON.stringify(name)}.`);
    }
  }
  return parsed;
}

function wholeNumber(name: string, text: string | undefined): number {
  const number = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_ORDERS) return number;
  throw new UsageError(
    `${name} needs a whole number from 1 to ${MAX_ORDERS}, got ${text === undefined ? 'nothing' : JSON.stringify(text)}.`,
  );
}

function oneOf<T extends string>(name: string, text: string | undefined, choices: readonly T[]): T {
  const choice = choices.find((one) => one === text);
  if (choice !== undefined) return choice;
  throw new UsageError(
    `${name} needs ${choices.join(' or ')}, got ${text === undefined ? 'nothing' : JSON.stringify(text)}.`,
  );
}
