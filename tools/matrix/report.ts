import type { Suite } from './options';
import type { RowResult } from './run-row';
import type { SuiteResult } from './suite-results';

/** The table, and below it what failed or could not be had. */
export function reportOf(rows: readonly RowResult[], suites: readonly Suite[]): string {
  const header = ['asked for', 'Node', 'Nest', 'TypeORM', 'RabbitMQ', 'PostgreSQL', 'MySQL family', ...suites];
  const lines = rows.map(({ name, ran, suites: results, problem }) => [
    name,
    ...[ran.node, ran.nest, ran.typeorm, ran.rabbitmq, ran.postgres, familyOf(ran)].map((version) => version ?? '–'),
    ...suites.map((suite) => (problem === undefined ? cellOf(results[suite]) : 'not run')),
  ]);
  const table = [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`);
  const notes = rows.flatMap(notesOf);
  return [...table, ...(notes.length === 0 ? [] : ['', ...notes]), ''].join('\n');
}

function familyOf({ mariadb, mysql }: RowResult['ran']): string | undefined {
  return mysql === undefined ? mariadb && `MariaDB ${mariadb}` : `MySQL ${mysql}`;
}

/** The same as a page of its own. */
export function pageOf(rows: readonly RowResult[], suites: readonly Suite[]): string {
  return `# The suites on other versions\n\nMade by \`npm run matrix\`. A row says what was exchanged, what ran, and how many tests passed.\n\n${reportOf(rows, suites)}`;
}

/** Whether every suite that was asked for ran, and nothing failed in it. */
export function hasPassed({ problem, suites }: RowResult, asked: readonly Suite[]): boolean {
  return problem === undefined && asked.every((suite) => suites[suite]?.failures.length === 0);
}

function cellOf(result: SuiteResult | undefined): string {
  if (result === undefined) return 'none found';
  const { passed, failures } = result;
  return failures.length === 0 ? `✓ ${passed}` : `✗ ${failures.length} of ${passed + failures.length}`;
}

function notesOf({ name, problem, suites }: RowResult): readonly string[] {
  if (problem !== undefined) return [`- **${name}**: ${indented(problem)}`];
  return Object.values(suites)
    .flatMap(({ failures }) => failures)
    .map(({ file, test, reason }) => `- **${name}**: \`${file}\`, ${test}: ${indented(reason)}`);
}

/** Of several lines, as part of a list. */
function indented(text: string): string {
  return text.includes('\n') ? `\n\n${text.replace(/^/gm, '      ')}` : text;
}
