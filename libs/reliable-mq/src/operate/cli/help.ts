import type { Command, OptionSpec } from './command';
import { columns } from './format';

/** Of every command. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { name: 'json', help: 'for scripts: one JSON value instead of text' },
  { name: 'help', help: 'this text' },
];

const EXIT_CODES = `Exits with 0 when all is well, 1 when what was asked for is not so or something has to be looked at, 2 when the arguments are
wrong, and 3 when a database or the broker could not be asked.`;

/** Of all commands. */
export function helpOf(commands: readonly Command[]): string {
  const list = columns(commands.map(({ name, summary }) => [`  ${name}`, summary]));
  return `Usage: nestjs-reliable-mq COMMAND [OPTION…]

${list}
  nestjs-reliable-mq COMMAND --help says more of one. The database is DATABASE_URL, or --database URL.

${EXIT_CODES}
`;
}

export function helpOfCommand(command: Command): string {
  const { name, words, options, details } = command;
  const usage = [name, words, ...options.map(usageOf)].filter((part) => part !== undefined).join(' ');
  const list = columns(
    [...options, ...COMMON_OPTIONS].map((option) => [`  ${flagOf(option)}`, option.help]),
    Number.POSITIVE_INFINITY,
  );
  return `Usage: nestjs-reliable-mq ${usage}\n\n${details.trim()}\n\n${list}\n${EXIT_CODES}\n`;
}

function flagOf({ name, value, choices }: OptionSpec): string {
  return value === undefined ? `--${name}` : `--${name} ${choices ? choices.join('|') : value}`;
}

function usageOf(option: OptionSpec): string {
  return `[${flagOf(option)}]${option.isMany ? '…' : ''}`;
}
