import { describeError } from '../../event/errors';
import { InvalidSetupError, ReliableMqError } from '../../event/errors';
import { maskUri } from '../../log/mask-uri';
import { type Command, type CommandContext, UsageError } from './command';
import { COMMANDS } from './commands';
import { COMMON_OPTIONS, helpOf, helpOfCommand } from './help';
import { didYouMean, readArguments } from './read-arguments';

export interface CommandResult {
  /** For the standard output. */
  readonly output: string;
  /** For the standard error; empty when all went well. */
  readonly problem: string;
  /**
   * - 0: done, and all is well
   * - 1: what was asked for is not so, or something has to be looked at
   * - 2: the arguments are wrong
   * - 3: the database or the broker could not be asked
   */
  readonly exitCode: 0 | 1 | 2 | 3;
}

/** What the command line does and prints for these arguments. */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<CommandResult> {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h') return { output: helpOf(COMMANDS), problem: '', exitCode: 0 };
  if (name === undefined) return wrong('a command is missing', helpOf(COMMANDS));
  const command = COMMANDS.find((each) => each.name === name);
  if (!command) {
    const names = COMMANDS.map((each) => each.name);
    return wrong(`unknown command "${name}"${didYouMean(name, names)}`, helpOf(COMMANDS));
  }
  if (rest.includes('--help') || rest.includes('-h'))
    return { output: helpOfCommand(command), problem: '', exitCode: 0 };
  try {
    return await run(command, rest, context);
  } catch (error) {
    if (error instanceof UsageError) return wrong(error.message, helpOfCommand(command));
    return { output: '', problem: `nestjs-reliable-mq: ${problemText(error)}\n`, exitCode: 3 };
  }
}

async function run(command: Command, args: readonly string[], context: CommandContext): Promise<CommandResult> {
  const options = [...command.options, ...COMMON_OPTIONS];
  const given = readArguments(args, options, command.words !== undefined);
  const { text, json, exitCode = 0 } = await command.run(given, context);
  const output = given.flag('json') ? `${JSON.stringify(json)}\n` : text;
  return { output, problem: '', exitCode };
}

/** Our own errors say what to do; of others, why the database could not be asked. */
function problemText(error: unknown): string {
  if (error instanceof InvalidSetupError) return error.problems.join('\n');
  return error instanceof ReliableMqError ? error.message : maskUri(describeError(error));
}

function wrong(problem: string, help: string): CommandResult {
  return { output: '', problem: `nestjs-reliable-mq: ${problem}\n\n${help}`, exitCode: 2 };
}
