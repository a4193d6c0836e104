import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catalogueOf } from './faults/catalogue';
import { type Landscape, removeFolder, removeIfEmpty, startLandscape } from './landscape';
import { type ChaosOptions, parseOptions, USAGE, UsageError } from './options';
import { makePlan, type Plan } from './plan';
import { CannotStartError, checkPrerequisites } from './prerequisites';
import { Progress } from './progress';
import { memoryReportOf, reportOf } from './report';
import { runFaults } from './run-faults';
import { runMemory } from './run-memory';
import type { Violation } from './audit/audit';

const VIOLATED = 1;
const CANNOT_START = 2;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (options.list) {
    process.stdout.write(
      catalogueOf(options.database)
        .map(({ family, name }) => `${family.padEnd(10)}${name}\n`)
        .join(''),
    );
    return 0;
  }
  const plan = makePlan(options);
  const progress = new Progress(options.json ? process.stderr : process.stdout);
  if (options.scenario === 'faults')
    for (const { name, why } of plan.impossible) progress.say(`left out: ${name} (${why})`);
  await checkPrerequisites(options);
  const folder = mkdtempSync(join(tmpdir(), 'reliable-mq-chaos-'));
  const landscape = await startLandscape(options, folder, (text) => progress.say(text)).catch((error: unknown) => {
    removeIfEmpty(folder);
    throw error;
  });
  const interrupted = onInterrupt(landscape, folder);
  let outcome: Outcome | undefined;
  try {
    outcome = await run(options, plan, landscape, progress);
  } finally {
    progress.stop();
    await landscape.close();
    interrupted.ignore();
    if (outcome?.verdict.violations.length === 0 && !options.keep) removeFolder(folder);
    else progress.say(`logs and traces: ${folder}`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(outcome.verdict)}\n`);
  else process.stdout.write(`\n${outcome.report}\n`);
  if (options.reportFile !== undefined) writeFileSync(options.reportFile, outcome.report);
  return outcome.verdict.violations.length === 0 ? 0 : VIOLATED;
}

interface Outcome {
  readonly verdict: { readonly violations: readonly (Violation | string)[] };
  readonly report: string;
}

async function run(options: ChaosOptions, plan: Plan, landscape: Landscape, progress: Progress): Promise<Outcome> {
  if (options.scenario === 'memory') {
    const verdict = await runMemory(options, landscape, progress);
    return { verdict, report: memoryReportOf(verdict) };
  }
  const verdict = await runFaults(options, plan, landscape, progress);
  return { verdict, report: reportOf(verdict) };
}

/** Ctrl-C: nothing that was started stays. */
function onInterrupt(landscape: Landscape, folder: string): { ignore(): void } {
  const end = (): void => {
    process.stderr.write('Interrupted: no verdict. Ending what was started.\n');
    process.exitCode = 130;
    void landscape.close().finally(() => {
      removeFolder(folder);
      process.exit(130);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
  return { ignore: () => ['SIGINT', 'SIGTERM'].forEach((signal) => process.off(signal, end)) };
}

main()
  .then((code) => process.exit(code))
  .catch((error: unknown) => {
    process.stderr.write(`${explain(error)}\n`);
    process.exit(CANNOT_START);
  });

/** Where the stack tells more than the message, it is a bug of the harness. */
function explain(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n\n${USAGE}`.trimEnd();
  if (error instanceof CannotStartError) return `The harness cannot start.\n${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
