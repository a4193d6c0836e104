import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { TransactionAbortedError } from '../../event/errors';
import { isDatabaseUnavailable, isTransient, sqlState } from './database-errors';
import { DatabaseDeadlineError, DatabaseUnavailableError } from '../port';

function failed(code?: string): QueryFailedError {
  return new QueryFailedError('SELECT 1', [], Object.assign(new Error('driver'), code === undefined ? {} : { code }));
}

describe('isDatabaseUnavailable', () => {
  it.each([
    ['a lost connection', failed('08006')],
    ['too many connections', failed('53300')],
    ['a shutdown', failed('57P01')],
    ['a server that starts', failed('57P03')],
    ['a standby that takes no writes', failed('25006')],
    ['a socket that broke in the midst of a statement', failed('ECONNRESET')],
    ['a socket that cannot be written', failed('EPIPE')],
    ['a driver without an answer', failed()],
    ['no connection', new DatabaseUnavailableError('no')],
    ['no answer in time', new DatabaseDeadlineError('no')],
    ['a connection that was lost between two statements', new QueryRunnerAlreadyReleasedError()],
  ])('is so for %s', (_, error) => expect(isDatabaseUnavailable(error)).toBe(true));

  it.each([
    ['a constraint', failed('23505')],
    ['a missing table', failed('42P01')],
    ['a serialization failure', failed('40001')],
    ['a cancelled statement', failed('57014')],
    ['a transaction that could not commit', new TransactionAbortedError()],
    ['an error of the application', new Error('connect ECONNREFUSED')],
    ['a mistake in code', new TypeError('x is not a function')],
    ['no error at all', undefined],
  ])('is not so for %s', (_, error) => expect(isDatabaseUnavailable(error)).toBe(false));
});

it.each([
  ['40001', true],
  ['40P01', true],
  ['55P03', true],
  ['23505', false],
  ['57P01', false],
  [undefined, false],
])('isTransient of %s is %s', (code, transient) => expect(isTransient(failed(code))).toBe(transient));

it("takes Node's own codes for no SQLSTATE", () => {
  expect(sqlState(failed('EPIPE'))).toBeUndefined();
  expect(sqlState({ code: '23505' })).toBe('23505');
  expect(sqlState({ code: 23505 })).toBeUndefined();
  expect(sqlState(null)).toBeUndefined();
});
