#!/usr/bin/env node
import { runCommand } from './run-command';

const { output, problem, exitCode } = runCommand(process.argv.slice(2));
process.stdout.write(output);
process.stderr.write(problem);
// Not process.exit(): what is still on its way into a pipe would be cut off.
process.exitCode = exitCode;
