import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseOptions, USAGE, UsageError } from './options';
import { nameOf, rowsOf } from './plan';
import { hasPassed, pageOf, reportOf } from './report';
import { type RowResult, runRow } from './run-row';

const SOMETHING_FAILED = 1;
const BAD_OPTIONS = 2;
const ROOT = resolve(__dirname, '../..');

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    process.stdout.write(USAGE);
    return 0;
  }
  const rows = rowsOf(options.versions);
  if (options.list) {
    process.stdout.write(`${rows.map(nameOf).join('\n')}\n`);
    return 0;
  }
  const { suites } = options;
  const out = options.json ? process.stderr : process.stdout;
  const began = Date.now();
  const say = (text: string): void => {
    out.write(`${String(Math.round((Date.now() - began) / 1_000)).padStart(5)} s  ${text}\n`);
  };
  const results: RowResult[] = [];
  for (const row of rows) {
    results.push(await runRow(row, suites, { root: ROOT, cache: join(ROOT, '.tmp/matrix'), say }));
    // After each row: a run of hours that is interrupted has said what it knew.
    if (options.report) writeFileSync(options.report, pageOf(results, suites));
  }
  out.write(`\n${reportOf(results, suites)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ suites, rows: results })}\n`);
  return results.every((result) => hasPassed(result, suites)) ? 0 : SOMETHING_FAILED;
}

main().then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    process.stderr.write(`${error instanceof UsageError ? error.message : String((error as Error).stack)}\n`);
    process.exitCode = error instanceof UsageError ? BAD_OPTIONS : SOMETHING_FAILED;
  },
);
