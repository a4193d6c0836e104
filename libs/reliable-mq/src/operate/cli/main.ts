#!/usr/bin/env node
import { userInfo } from 'node:os';
import { Logger } from '@nestjs/common';
import { runCommand } from './run-command';

const toStandardError = (line: unknown): void => void process.stderr.write(`${String(line)}\n`);
const nothing = (): void => undefined;
// What the library says of a database belongs beside the answer, not into it.
Logger.overrideLogger({
  log: nothing,
  debug: nothing,
  verbose: nothing,
  warn: toStandardError,
  error: toStandardError,
});

/** What is left of an output is written by then, in milliseconds. */
const LINGER_MS = 5000;

const stop = new AbortController();
// The batch that is under way is finished; asked once more, the process ends.
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());

/** A container may run under a number that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}

const [name] = process.argv.slice(2);

void runCommand(process.argv.slice(2), { env: process.env, user: userName(), signal: stop.signal }).then(
  ({ output, problem, exitCode }) => {
    process.stdout.write(output);
    process.stderr.write(problem);
    // Not process.exit(): what is still on its way into a pipe would be cut off.
    process.exitCode = exitCode;
    // An application that was started here may have left something that keeps the process alive.
    if (name === 'replay') setTimeout(() => process.exit(), LINGER_MS).unref();
  },
);
