import { schemaScript } from '../../database/databases';
import { runCommand } from './run-command';

describe('the command line', () => {
  it.each([
    [['schema'], undefined, undefined],
    [['schema', '--schema', 'events'], 'events', undefined],
    [['schema', '--schema=events'], 'events', undefined],
    [['schema', '--schema', 'odd "name" = x'], 'odd "name" = x', undefined],
    [['schema', '--prefix', 'shop_'], undefined, 'shop_'],
    [['schema', '--prefix=shop_', '--schema', 'events', '--database', 'postgres'], 'events', 'shop_'],
  ])('prints the script for %j', (args, schema, prefix) => {
    expect(runCommand(args)).toEqual({
      output: schemaScript(schema, { prefix, online: true }),
      problem: '',
      exitCode: 0,
    });
  });

  it.each([[['--help']], [['-h']], [['schema', '--help']]])('prints its usage for %j', (args) => {
    expect(runCommand(args)).toEqual({
      output: expect.stringMatching(
        /^Usage: nestjs-reliable-mq schema \[--schema NAME\] \[--prefix PREFIX\] \[--database postgres\|mysql\|mariadb\]\n/,
      ),
      problem: '',
      exitCode: 0,
    });
  });

  it('shows a command that fails when a statement does', () => {
    expect(runCommand(['--help']).output).toContain('schema | psql -v ON_ERROR_STOP=1 "postgres://');
    expect(runCommand(['schema']).output.split('\n')[0]).toContain('-v ON_ERROR_STOP=1');
  });

  it.each([
    [[], 'a command is missing'],
    [['shema'], 'unknown command "shema"; did you mean "schema"?'],
    [['migrate-everything'], 'unknown command "migrate-everything"'],
    [['schema', '--scheme', 'x'], 'unknown argument "--scheme"; did you mean "--schema"?'],
    [['schema', 'events'], 'unknown argument "events"'],
    [['schema', '--schema'], '--schema needs a name after it'],
    [['schema', '--schema='], '--schema needs a name after it'],
    [['schema', '--schema', ''], '--schema needs a name after it'],
    [['schema', '--schema', '--help-me'], '--schema needs a name after it'],
    [['schema', '--schema', 'a', '--schema', 'b'], '--schema is given twice'],
    [['schema', '--prefix'], '--prefix needs a name after it'],
    [['schema', '--database', 'oracle'], 'there is no database "oracle" (there is postgres, mysql, mariadb)'],
    [
      ['schema', '--database', 'postgers'],
      'there is no database "postgers" (there is postgres, mysql, mariadb); did you mean "postgres"?',
    ],
  ])('refuses %j and prints nothing that psql would run', (args, problem) => {
    const result = runCommand(args);

    expect(result).toMatchObject({ output: '', exitCode: 2 });
    expect(result.problem.split('\n')[0]).toBe(`nestjs-reliable-mq: ${problem}`);
  });
});
