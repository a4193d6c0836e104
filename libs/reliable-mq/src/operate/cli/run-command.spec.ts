import { schemaScript } from '../../database/postgres/postgres-migrations';
import { runCommand } from './run-command';

describe('the command line', () => {
  it.each([
    [['schema'], undefined],
    [['schema', '--schema', 'events'], 'events'],
    [['schema', '--schema=events'], 'events'],
    [['schema', '--schema', 'odd "name" = x'], 'odd "name" = x'],
  ])('prints the script for %j', (args, schema) => {
    expect(runCommand(args)).toEqual({ output: schemaScript(schema), problem: '', exitCode: 0 });
  });

  it.each([[['--help']], [['-h']], [['schema', '--help']]])('prints its usage for %j', (args) => {
    expect(runCommand(args)).toEqual({
      output: expect.stringMatching(/^Usage: nestjs-reliable-mq schema \[--schema NAME\]\n/),
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
  ])('refuses %j and prints nothing that psql would run', (args, problem) => {
    const result = runCommand(args);

    expect(result).toMatchObject({ output: '', exitCode: 2 });
    expect(result.problem.split('\n')[0]).toBe(`nestjs-reliable-mq: ${problem}`);
  });
});
