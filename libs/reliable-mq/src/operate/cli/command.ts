import type { JourneySource } from '../journey';
import type { Operations } from '../operations';
import type { OpenDatabase } from '../../database/database-kind';

/** An option as people write it. */
export interface OptionSpec {
  /** Without the two dashes. */
  readonly name: string;
  /** What stands for its value in the help; left out: it has none. */
  readonly value?: string;
  /** The values that there are. */
  readonly choices?: readonly string[];
  /** Its value is a number, from 0. */
  readonly isNumber?: true;
  /** May be given several times. */
  readonly isMany?: true;
  readonly help: string;
}

/** What was written behind a command's name, read by its options. */
export interface Given {
  readonly words: readonly string[];
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  number(name: string): number | undefined;
  flag(name: string): boolean;
}

/** The tables of one service. */
export interface OpenTables extends OpenDatabase {
  /** For people: the name of the database. */
  readonly name: string;
  /** Without a password. */
  readonly url: string;
  readonly people: Operations;
  readonly source: JourneySource;
}

/** What a command gets from the process that it runs in. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Who is logged in: `--by` when it is not given. */
  readonly user: string;
  /** Ends a run after the batch that is under way. */
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  /** For people. */
  readonly text: string;
  /** For scripts: `--json`. */
  readonly json: unknown;
  /** 1: what was asked for is not so; something has to be looked at. @default 0 */
  readonly exitCode?: 0 | 1 | undefined;
}

export interface Command {
  readonly name: string;
  /** One line of the list of commands. */
  readonly summary: string;
  /** The words behind its name, as its usage says it; left out: it takes none. */
  readonly words?: string;
  readonly options: readonly OptionSpec[];
  /** Below the options of its help. */
  readonly details: string;
  run(given: Given, context: CommandContext): Promise<Answer> | Answer;
}

/** What was written cannot be meant: the help is shown with it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
