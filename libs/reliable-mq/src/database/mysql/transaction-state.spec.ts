import type { QueryRunner } from 'typeorm';
import {
  committedBy,
  knownToBeOpen,
  mayHaveCommitted,
  noteAnswer,
  noteFailure,
  rolledBackBy,
} from './transaction-state';

const OPEN = { fieldCount: 0, serverStatus: 3 };
const CLOSED = { fieldCount: 0, serverStatus: 2 };
const ROWS = [{ answer: 1 }];

function failure(errno: number): Error {
  return Object.assign(new Error('refused'), { errno, sqlState: 'HY000' });
}

describe('what the answers of MySQL say of a transaction', () => {
  let session: QueryRunner;
  beforeEach(() => {
    session = {} as QueryRunner;
    noteAnswer(session, 'START TRANSACTION', OPEN);
  });

  it.each(['CREATE TABLE t (id int)', 'ALTER TABLE t ADD n int', 'CALL tidy()', 'LOCK TABLES t READ'])(
    'is that %s has committed it, until it is ended or another one begins',
    (sql) => {
      noteAnswer(session, sql, CLOSED);
      noteAnswer(session, 'INSERT INTO t VALUES (1)', CLOSED);
      expect(committedBy(session)).toBe(sql);
      noteAnswer(session, 'ROLLBACK', CLOSED);
      expect(committedBy(session)).toBeUndefined();
    },
  );

  it.each(['COMMIT', 'rollback', 'COMMIT RELEASE'])('is nothing about %s, which is told to end it', (sql) => {
    noteAnswer(session, sql, CLOSED);
    expect(committedBy(session)).toBeUndefined();
    expect(knownToBeOpen(session)).toBe(false);
  });

  it('is nothing about statements that are in no transaction', () => {
    noteAnswer(session, 'COMMIT', CLOSED);
    noteAnswer(session, 'CREATE TABLE t (id int)', CLOSED);
    noteFailure(session, 'CREATE TABLE t (id int)', failure(1050));
    noteAnswer(session, 'DO 0', CLOSED);
    noteFailure(session, 'UPDATE t SET n = 1', failure(1213));
    expect([committedBy(session), rolledBackBy(session), mayHaveCommitted(session)]).toEqual([
      undefined,
      undefined,
      false,
    ]);
  });

  it.each([
    [
      'DDL that has failed',
      'CREATE TABLE t (id int)',
      () => noteFailure(session, 'CREATE TABLE t (id int)', failure(1050)),
    ],
    ['a procedure that has failed', 'CALL tidy()', () => noteFailure(session, 'CALL tidy()', failure(1146))],
    ['DDL that returns rows', '-- it\nANALYZE TABLE t', () => noteAnswer(session, '-- it\nANALYZE TABLE t', ROWS)],
  ])('has to be asked for after %s', (_, sql, send) => {
    send();
    expect(mayHaveCommitted(session)).toBe(true);
    noteAnswer(session, 'DO 0', CLOSED);
    expect(committedBy(session)).toBe(sql);
  });

  it('is that it goes on when the failed statement was of no consequence', () => {
    noteFailure(session, 'CREATE TABEL t', failure(1064));
    noteAnswer(session, 'DO 0', OPEN);
    expect([mayHaveCommitted(session), committedBy(session)]).toEqual([false, undefined]);
  });

  it.each([1213, 1205])(
    'is that error %i has rolled it back, as it does a lock that is not waited for with innodb_rollback_on_timeout',
    (errno) => {
      const error = failure(errno);
      noteFailure(session, 'UPDATE t SET n = 1', error);
      noteAnswer(session, 'DO 0', CLOSED);
      noteAnswer(session, 'INSERT INTO t VALUES (1)', CLOSED);
      expect([rolledBackBy(session), committedBy(session)]).toEqual([error, undefined]);
      noteAnswer(session, 'ROLLBACK', CLOSED);
      expect(rolledBackBy(session)).toBeUndefined();
    },
  );
});
