import { readFile } from 'node:fs/promises';
import { InvalidSetupError, SchemaMissingError } from '../../../event/errors';
import { type Answer, type Command, type CommandContext, type Given, UsageError } from '../command';
import { checkBroker } from '../doctor/check-broker';
import { checkBudget } from '../doctor/check-budget';
import { checkDatabase, checkWork } from '../doctor/check-database';
import { type Finding, MARKS } from '../doctor/finding';
import { columns, count } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';

/** RabbitMQ's own. */
const CONSUMER_TIMEOUT_MS = 30 * 60_000;
const MAX_LAG_SECONDS = 60;

export const DOCTOR: Command = {
  name: 'doctor',
  summary: 'checks what the promises rest on, and says what to change',
  options: [
    DATABASE_OPTION,
    ...TABLE_OPTIONS,
    { name: 'broker', value: 'URL', help: 'the broker (default: AMQP_URL; without one it is not checked)' },
    { name: 'management', value: 'URL', help: 'its management API, for types and policies of queues' },
    { name: 'options', value: 'FILE', help: 'what forRoot is given, as JSON (default: the defaults of the library)' },
    {
      name: 'producer-options',
      value: 'FILE',
      isMany: true,
      help: 'the same of a service whose events are handled here',
    },
    {
      name: 'handler-timeout-ms',
      value: 'MS',
      isNumber: true,
      help: 'the longest timeoutMs of a handler (default: consume.timeoutMs)',
    },
    { name: 'pool-size', value: 'COUNT', isNumber: true, help: 'poolSize of the DataSource' },
    { name: 'handlers-at-once', value: 'COUNT', isNumber: true, help: 'the sum of the prefetch of all handlers' },
    {
      name: 'consumer-timeout-ms',
      value: 'MS',
      isNumber: true,
      help: "the broker's consumer_timeout (default: 1800000)",
    },
    { name: 'max-lag', value: 'SECONDS', isNumber: true, help: 'how long something may have been due (default: 60)' },
  ],
  details: `
The database's version, settings and rights, the tables, what waits and for how long, the options that have to fit each other, and the
broker's queues. Changes and declares nothing. What cannot be checked is said. Exits with 1 when something must be changed.

An application writes its options with fs.writeFileSync('options.json', JSON.stringify(options)), where options is what forRoot gets.

  AMQP_URL=amqp://… nestjs-reliable-mq doctor --options options.json --pool-size 30 --handlers-at-once 20`,
  run: async (given, context) => {
    const findings = await examine(given, context);
    const toChange = findings.filter(({ verdict }) => verdict === 'change').length;
    const rows = findings.map(({ verdict, area, text }) => [MARKS[verdict], area, text]);
    const sum = toChange === 0 ? 'Nothing must be changed.' : `${count(toChange, 'thing')} must be changed.`;
    return {
      json: { findings, toChange },
      text: `${columns(rows)}${sum}\n`,
      exitCode: toChange > 0 ? 1 : 0,
    } satisfies Answer;
  },
};

async function examine(given: Given, context: CommandContext): Promise<readonly Finding[]> {
  const budget = {
    options: await readOptions(given.text('options')),
    producers: await Promise.all(given.texts('producer-options').map(async (file) => (await readOptions(file)) ?? {})),
    handlerTimeoutMs: given.number('handler-timeout-ms'),
    handlersAtOnce: given.number('handlers-at-once'),
    poolSize: given.number('pool-size'),
    consumerTimeoutMs: given.number('consumer-timeout-ms') ?? CONSUMER_TIMEOUT_MS,
  };
  try {
    return await withDatabase(given, context, async (tables) => {
      const uri = given.text('broker') ?? context.env['AMQP_URL'];
      const { version, findings } = await checkBroker(tables, uri, given.text('management'));
      return [
        ...(await checkDatabase(tables)),
        ...(await checkWork(tables, (given.number('max-lag') ?? MAX_LAG_SECONDS) * 1000)),
        ...checkBudget({ ...budget, brokerVersion: version }),
        ...findings,
      ];
    });
  } catch (error) {
    const problems = problemsOf(error);
    if (!problems) throw error;
    return [
      ...problems.map((text): Finding => ({ area: 'tables', verdict: 'change', text })),
      { area: 'work', verdict: 'not-checked', text: 'what waits, and the broker: the tables must be there' },
      ...checkBudget(budget),
    ];
  }
}

/** The tables, or the database as it is set up. */
function problemsOf(error: unknown): readonly string[] | undefined {
  if (error instanceof SchemaMissingError) return [`${error.message} \`npx nestjs-reliable-mq migrate\` does that.`];
  return error instanceof InvalidSetupError ? error.problems : undefined;
}

/** @throws UsageError when it is no JSON object */
async function readOptions(file: string | undefined): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (file === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`${file} cannot be read as JSON: ${(error as Error).message}`);
  }
  throw new UsageError(`${file} must hold one JSON object: what ReliableMqModule.forRoot is given`);
}
