import { schemaScript } from '../../database/databases';
import { COMMANDS } from './commands';
import { type CommandResult, runCommand } from './run-command';

/** Nobody has a database here. */
const run = (args: readonly string[]): Promise<CommandResult> => runCommand(args, { env: {}, user: 'anna' });

const firstLine = ({ problem }: CommandResult): string => problem.split('\n')[0] ?? '';

describe('the command line', () => {
  it.each([
    [['schema'], undefined, undefined],
    [['schema', '--schema', 'events'], 'events', undefined],
    [['schema', '--schema=events'], 'events', undefined],
    [['schema', '--schema', 'odd "name" = x'], 'odd "name" = x', undefined],
    [['schema', '--prefix', 'shop_'], undefined, 'shop_'],
    [['schema', '--prefix=shop_', '--schema', 'events', '--database', 'postgres'], 'events', 'shop_'],
  ])('prints the script for %j', async (args, schema, prefix) => {
    expect(await run(args)).toEqual({
      output: schemaScript(schema, { prefix, online: true }),
      problem: '',
      exitCode: 0,
    });
  });

  it.each([[['--help']], [['-h']]])('lists its commands for %j', async (args) => {
    const { output, exitCode } = await run(args);

    expect(exitCode).toBe(0);
    for (const { name, summary } of COMMANDS) expect(output).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'));
  });

  it.each(COMMANDS.map(({ name }) => name))('explains each option of %s', async (name) => {
    const { output, exitCode } = await run([name, '--help']);
    const command = COMMANDS.find((each) => each.name === name);

    expect(exitCode).toBe(0);
    expect(output).toMatch(new RegExp(`^Usage: nestjs-reliable-mq ${name} `));
    for (const option of command?.options ?? []) expect(output).toContain(`\n  --${option.name}`);
    expect(output).toMatch(/\n {2}--json +for scripts/);
  });

  it('shows a command that fails when a statement does', async () => {
    expect((await run(['schema', '--help'])).output).toContain('schema | psql -v ON_ERROR_STOP=1 "postgres://');
    expect((await run(['schema'])).output.split('\n')[0]).toContain('-v ON_ERROR_STOP=1');
  });

  it.each([
    [[], 'a command is missing'],
    [['shema'], 'unknown command "shema"; did you mean "schema"?'],
    [['destroy-everything'], 'unknown command "destroy-everything"'],
    [['schema', '--scheme', 'x'], 'unknown argument "--scheme"; did you mean "--schema"?'],
    [['status', '--max-leg', '5'], 'unknown argument "--max-leg"; did you mean "--max-lag"?'],
    [['schema', 'events'], 'unknown argument "events"'],
    [['schema', '--schema'], '--schema needs a value after it'],
    [['schema', '--schema='], '--schema needs a value after it'],
    [['schema', '--schema', ''], '--schema needs a value after it'],
    [['schema', '--schema', '--help-me'], '--schema needs a value after it'],
    [['schema', '--schema', 'a', '--schema', 'b'], '--schema is given twice'],
    [['schema', '--prefix'], '--prefix needs a value after it'],
    [['schema', '--database', 'oracle'], '--database cannot be "oracle" (there is postgres, mysql, mariadb)'],
    [
      ['schema', '--database', 'postgers'],
      '--database cannot be "postgers" (there is postgres, mysql, mariadb); did you mean "postgres"?',
    ],
    [['status', '--max-lag', 'long'], '--max-lag needs a number from 0 after it, not "long"'],
    [['status', '--json=yes'], '--json takes no value'],
    [['status'], 'there is no database: set DATABASE_URL, or give --database URL'],
    [
      ['status', '--database', 'amqp://anna:secret@host/x'],
      '"amqp://anna:***@host/x" is no URL of a database: postgres://user@host:5432/name, or mysql://…',
    ],
    [
      ['status', '--schema', 'events', '--database', 'mysql://root@host/x'],
      '--schema is for PostgreSQL: elsewhere the database is named in its URL',
    ],
    [
      ['status', '--database', 'mysql://root@host/x?ssl=yes'],
      'ssl in the URL must be true, false or the options of mysql2 as JSON',
    ],
    [['reconcile', '--producer', 'postgres://h/a'], '--consumer URL is missing'],
    [
      ['reconcile', '--producer', 'postgres://h/a', '--consumer', 'postgres://h/b', '--repair'],
      "--repair needs --inbox-hours: the consumer's retention.inboxHours, 336 unless it was changed. What its inbox has forgotten by its age must not be sent again",
    ],
    [
      ['reconcile', '--producer', 'postgres://h/a', '--consumer', 'postgres://h/b', '--since', 'monday'],
      '--since cannot be "monday": 2026-11-28T09:00Z, or 90m, 6h, 3d',
    ],
    [['find'], 'find needs one key or event id'],
    [['redrive'], 'which ones? Give ids or filters, or --all'],
    [['redrive', '--all', '--type', 'x'], 'give ids, or filters, or --all'],
    [['redrive', 'order-7'], '"order-7" is no event id: for a key say --key order-7'],
    [['discard', '--rate', '0', '--all'], '--rate needs a number above 0 after it'],
    [['archive', '--fingerprint', 'x'], 'fingerprint must be the fingerprint of a group of failures, not "x".'],
    [['retry', 'order-7'], 'ids need --consumer: several may have handled one event'],
    [['retry', '--status', 'done'], 'status "done" is unknown. There are failed, waiting, rejected, dead.'],
    [['pause', 'inventory'], 'a consumer and an event type are needed, as in "inventory order.created"'],
  ])('refuses %j and prints nothing that a script would take', async (args, problem) => {
    const result = await run(args);

    expect(result).toMatchObject({ output: '', exitCode: 2 });
    expect(firstLine(result)).toBe(`nestjs-reliable-mq: ${problem}`);
  });

  it('says that a database cannot be asked, without its password, with an exit code of its own', async () => {
    const result = await run(['status', '--database', 'postgres://anna:secret@127.0.0.1:1/x']);

    expect(result).toMatchObject({ output: '', exitCode: 3 });
    expect(result.problem).toContain('ECONNREFUSED');
    expect(result.problem).not.toContain('secret');
  });
});
