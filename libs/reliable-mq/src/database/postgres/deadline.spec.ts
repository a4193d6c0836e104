import type { DataSource, QueryRunner } from 'typeorm';
import { deferred } from '../../../../../test/support/deferred';
import { acquireQueryRunner } from '../acquire-query-runner';
import { isWhole } from './deadline';
import { NoConnectionError } from '../port';
import { finishesWithin, within } from '../../wait/deadline';

/** A pool whose one connection comes, or does not, when the test says so. */
function pool() {
  const connection = deferred();
  const queryRunner = {
    connect: jest.fn(() => connection.promise),
    release: jest.fn(() => Promise.reject(new Error('the pool has ended'))),
  };
  const dataSource = { createQueryRunner: () => queryRunner } as unknown as DataSource;
  return { dataSource, queryRunner: queryRunner as unknown as QueryRunner, ...queryRunner, connection };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

describe('acquireQueryRunner', () => {
  it('gives a query runner that has its connection', async () => {
    const { dataSource, queryRunner, connection, release } = pool();
    const stop = new AbortController();
    const acquired = acquireQueryRunner(dataSource, 1000, stop.signal);
    connection.resolve();
    await expect(acquired).resolves.toBe(queryRunner);
    stop.abort();
    expect(release).not.toHaveBeenCalled();
  });

  it('fails when the pool has none in time, and gives back one that comes later', async () => {
    const { dataSource, connection, release } = pool();
    const acquired = acquireQueryRunner(dataSource, 1000);
    const failure = expect(acquired).rejects.toThrow(
      new NoConnectionError(
        'no database connection within 1000 ms: the pool is exhausted or the database does not answer',
      ),
    );
    await jest.advanceTimersByTimeAsync(1000);
    await failure;
    expect(release).not.toHaveBeenCalled();
    connection.resolve();
    await jest.advanceTimersByTimeAsync(0);
    expect(release).toHaveBeenCalledTimes(1);
  });

  it('does not wait any longer than the process runs, and gives back a connection that comes later', async () => {
    const { dataSource, connection, release } = pool();
    const stop = new AbortController();
    const acquired = acquireQueryRunner(dataSource, 1000, stop.signal);
    stop.abort();
    await expect(acquired).rejects.toThrow(
      new NoConnectionError('no database connection before the process had to stop'),
    );
    connection.resolve();
    await jest.advanceTimersByTimeAsync(0);
    expect(release).toHaveBeenCalledTimes(1);
  });

  it('does not even ask for a connection when the process has stopped', async () => {
    const { dataSource, connect } = pool();
    await expect(acquireQueryRunner(dataSource, 1000, AbortSignal.abort())).rejects.toThrow(NoConnectionError);
    expect(connect).not.toHaveBeenCalled();
  });

  it.each([
    [new Error('too many clients already'), 'no database connection: too many clients already'],
    [
      Object.assign(new AggregateError([new Error('::1'), new Error('127.0.0.1')]), { code: 'ECONNREFUSED' }),
      'no database connection: ECONNREFUSED',
    ],
    ['gone', 'no database connection: gone'],
  ])('tells why there is none, and keeps the cause: %s', async (cause, message) => {
    const { dataSource, connection } = pool();
    const acquired = acquireQueryRunner(dataSource, 1000);
    connection.reject(cause);
    const error = await acquired.catch((reason: unknown) => reason as Error);
    expect(error).toMatchObject({ name: 'NoConnectionError', message, cause });
  });

  it('lets a connection fail that nobody waits for any more', async () => {
    const { dataSource, connection, release } = pool();
    const acquired = acquireQueryRunner(dataSource, 1000);
    const failure = expect(acquired).rejects.toThrow(NoConnectionError);
    await jest.advanceTimersByTimeAsync(1000);
    await failure;
    connection.reject(new Error('late'));
    await jest.advanceTimersByTimeAsync(0);
    expect(release).not.toHaveBeenCalled();
  });
});

describe('isWhole', () => {
  const asked = (status: string | null, query: () => Promise<unknown>): Promise<boolean> =>
    isWhole({ isReleased: false, query, connect: async () => ({ getTransactionStatus: () => status }) } as never);

  it('is true in a transaction that answers', () => expect(asked('T', () => Promise.resolve([]))).resolves.toBe(true));

  it.each([null, 'I'])('is false when the state is %s', (status) =>
    expect(asked(status, () => Promise.resolve([]))).resolves.toBe(false),
  );

  it('does not take the state from before a failure, whose message has not come yet', () =>
    expect(asked('T', () => Promise.reject(new Error('current transaction is aborted')))).resolves.toBe(false));
});

describe('within', () => {
  it('gives the result, or the failure, of work that ends in time', async () => {
    await expect(within(1000, Promise.resolve(7), () => new Error('late'))).resolves.toBe(7);
    await expect(within(1000, Promise.reject(new Error('it broke')), () => new Error('late'))).rejects.toThrow(
      'it broke',
    );
  });

  it('fails when the work takes longer, and lets it fail later', async () => {
    const { promise, reject } = deferred();
    const late = expect(within(1000, promise, () => new Error('late'))).rejects.toThrow('late');
    await jest.advanceTimersByTimeAsync(1000);
    await late;
    reject(new Error('nobody listens'));
    await jest.advanceTimersByTimeAsync(0);
  });
});

describe('finishesWithin', () => {
  it.each([
    ['succeeds', Promise.resolve()],
    ['fails', Promise.reject(new Error('it broke'))],
  ])('says yes to work that %s in time', async (_, work) => {
    await expect(finishesWithin(1000, work)).resolves.toBe(true);
  });

  it('says no to work that takes longer', async () => {
    const answer = finishesWithin(1000, new Promise(() => undefined));
    await jest.advanceTimersByTimeAsync(1000);
    await expect(answer).resolves.toBe(false);
  });
});
