import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import {
  DatabaseDeadlineError,
  type DatabasePort,
  DatabaseReadOnlyError,
  NoConnectionError,
} from '../../libs/reliable-mq/src/database/port';
import { eventually } from '../support/eventually';

/** What the suite needs of a database beside the port. */
export interface DatabaseHarness {
  readonly database: DatabasePort;
  /** With a pool of `POOL_SIZE`, on an empty database of its own. */
  readonly dataSource: DataSource;
  /** Another pool there, which nothing of the suite takes away. */
  readonly outside: DataSource;
  /** Sessions at the server whose transaction is open. */
  openTransactions(): Promise<number>;
  /** Let each new transaction of the database be read-only, or not any more, as after a failover. */
  setReadOnly(readOnly: boolean): Promise<void>;
  /** Ends the session of a query runner at the server. */
  kill(queryRunner: QueryRunner): Promise<void>;
  /** SQL that gives up at once when another transaction holds the row of `thing` with this id. */
  lockNow(id: number): string;
  dispose(): Promise<void>;
}

export const POOL_SIZE = 3;
const WAIT_MS = 5_000;

/** The rules that every implementation of DatabasePort keeps. */
export function describeDatabasePort(name: string, open: () => Promise<DatabaseHarness>): void {
  describe(`the database port of ${name}`, () => {
    let harness: DatabaseHarness;
    let database: DatabasePort;
    let dataSource: DataSource;

    beforeAll(async () => {
      harness = await open();
      ({ database, dataSource } = harness);
      await database.open('migrate');
      await harness.outside.query('CREATE TABLE thing (id integer PRIMARY KEY, n integer NOT NULL)');
      await harness.outside.query('INSERT INTO thing VALUES (1, 0), (2, 0)');
    });
    afterAll(() => harness.dispose());

    const failureOf = async (work: Promise<unknown>): Promise<unknown> => {
      const error = await work.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeDefined();
      return database.failureOf(error);
    };

    it('opens again what is open, whether it may create tables or only checks them', async () => {
      await database.open('migrate');
      await database.open('verify');
      expect(database.problems()).toEqual([]);
    });

    describe('failureOf', () => {
      it('refused: the statement itself', async () => {
        expect(await failureOf(dataSource.query('INSERT INTO thing VALUES (1, 1)'))).toBe('refused');
        expect(await failureOf(dataSource.query('SELECT * FROM nothing_of_this_name'))).toBe('refused');
      });

      it('conflict: two transactions that wait for each other, of which one may go on', async () => {
        const update = (manager: EntityManager, id: number): Promise<unknown> =>
          manager.query(`UPDATE thing SET n = n + 1 WHERE id = ${id}`);
        let bothHold: () => void;
        const held = new Promise<void>((resolve) => (bothHold = resolve));
        let holding = 0;
        const crossing = ([first, second]: readonly [number, number]): Promise<unknown> =>
          dataSource.transaction(async (manager) => {
            await update(manager, first);
            holding += 1;
            if (holding === 2) bothHold();
            await held;
            await update(manager, second);
          });
        const ends = await Promise.allSettled([crossing([1, 2]), crossing([2, 1])]);
        const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
        expect(failed.map((error) => database.failureOf(error))).toEqual(['conflict']);
      });

      it('conflict: a lock that the server does not wait for any longer', async () => {
        await harness.outside.transaction(async (manager) => {
          await manager.query('UPDATE thing SET n = n + 1 WHERE id = 1');
          expect(await failureOf(dataSource.query(harness.lockNow(1)))).toBe('conflict');
        });
      });

      it('unavailable: the session is gone, there is no connection, or the answer is late', async () => {
        const queryRunner = await database.acquire(WAIT_MS);
        await harness.kill(queryRunner);
        expect(await failureOf(queryRunner.query('SELECT 1'))).toBe('unavailable');
        await database.discard(queryRunner, new Error('killed'));
        expect(database.failureOf(new NoConnectionError('none'))).toBe('unavailable');
        expect(database.failureOf(new DatabaseDeadlineError('late'))).toBe('unavailable');
      });

      it('undefined: no database has thrown it', () => {
        for (const error of [new Error('x'), Object.assign(new Error('x'), { code: 'EPIPE' }), 'text', undefined]) {
          expect(database.failureOf(error)).toBeUndefined();
        }
      });
    });

    describe('acquire', () => {
      it('waits no longer than it may, and takes what comes later for somebody else', async () => {
        const all = await Promise.all(Array.from({ length: POOL_SIZE }, () => database.acquire(WAIT_MS)));
        await expect(database.acquire(50)).rejects.toThrow(NoConnectionError);
        const stop = new AbortController();
        const stopped = database.acquire(WAIT_MS, stop.signal);
        await eventually(() => expect(database.callersWaiting).toBeGreaterThan(0));
        stop.abort();
        await expect(stopped).rejects.toThrow(NoConnectionError);
        for (const queryRunner of all) await queryRunner.release();
        const again = await Promise.all(Array.from({ length: POOL_SIZE }, () => database.acquire(WAIT_MS)));
        for (const queryRunner of again) await queryRunner.release();
        expect(database.poolSize).toBe(POOL_SIZE);
      });
    });

    describe('connections that take no writes', () => {
      afterEach(() => harness.setReadOnly(false));

      /** Leaves sessions in the pool that were opened while the database was read-only, and takes that back. */
      async function fillPoolWithReadOnly(): Promise<void> {
        await harness.setReadOnly(true);
        const all = await Promise.all(Array.from({ length: POOL_SIZE }, () => database.acquire(WAIT_MS)));
        for (const queryRunner of all) await database.discard(queryRunner, new Error('opened before'));
        const fresh = await Promise.all(Array.from({ length: POOL_SIZE }, () => database.acquire(WAIT_MS)));
        for (const queryRunner of fresh) await queryRunner.query('SELECT 1');
        for (const queryRunner of fresh) await queryRunner.release();
      }

      it('are said by ping, which works again when the database takes writes, whatever the pool holds', async () => {
        await fillPoolWithReadOnly();
        await expect(database.ping(WAIT_MS)).rejects.toThrow(DatabaseReadOnlyError);
        await fillPoolWithReadOnly();
        await harness.setReadOnly(false);
        await expect(database.ping(WAIT_MS)).resolves.toBeUndefined();
      });

      it.each([
        ['a statement of the application', () => dataSource.query('UPDATE thing SET n = n + 1 WHERE id = 1')],
        [
          'a transaction of the application',
          () => dataSource.transaction((manager) => manager.query('UPDATE thing SET n = n + 1 WHERE id = 1')),
        ],
      ])('are given up, all of the pool, when %s was refused', async (_what, write) => {
        await fillPoolWithReadOnly();
        await harness.setReadOnly(false);
        expect(await failureOf(write())).toBe('unavailable');
        // Those that wait in the pool are given up a moment later.
        await eventually(async () => {
          const done = await Promise.allSettled(Array.from({ length: POOL_SIZE }, write));
          expect(done.map(({ status }) => status)).toEqual(Array.from({ length: POOL_SIZE }, () => 'fulfilled'));
        });
      });
    });

    describe('a transaction', () => {
      it('that waits too long for its next statement is ended by the server, and its locks are free', async () => {
        const queryRunner = await database.acquire(WAIT_MS);
        await queryRunner.startTransaction();
        await database.limitIdleTime(queryRunner.manager, 200);
        await queryRunner.query('UPDATE thing SET n = n + 1 WHERE id = 2');
        await harness.outside.query('UPDATE thing SET n = 0 WHERE id = 2');
        expect(await failureOf(queryRunner.query('SELECT 1'))).toBe('unavailable');
        await database.discard(queryRunner, new Error('ended by the server'));
      });

      it('that somebody has ended by a statement is known to be lost', async () => {
        const queryRunner = await database.acquire(WAIT_MS);
        await queryRunner.startTransaction();
        await queryRunner.query('SELECT 1');
        expect(await database.hasLostTransaction(queryRunner)).toBe(false);
        await queryRunner.query('ROLLBACK');
        expect(await database.hasLostTransaction(queryRunner)).toBe(true);
        expect(await database.isWhole(queryRunner)).toBe(false);
        await database.discard(queryRunner, new Error('done with it'));
      });

      it('is whole until a statement of it fails, or its connection is gone', async () => {
        const queryRunner = await database.acquire(WAIT_MS);
        await queryRunner.startTransaction();
        expect(await database.isWhole(queryRunner)).toBe(true);
        await expect(dataSource.query('SELECT * FROM nothing_of_this_name')).rejects.toThrow();
        expect(await database.isWhole(queryRunner)).toBe(true);
        await expect(queryRunner.query('SELECT * FROM nothing_of_this_name')).rejects.toThrow();
        expect(await database.isWhole(queryRunner)).toBe(false);
        await database.discard(queryRunner, new Error('done with it'));
        expect(await database.isWhole(queryRunner)).toBe(false);
      });

      it('whose connection is cut while a statement waits for a lock ends at the server too', async () => {
        await harness.outside.transaction(async (manager) => {
          await manager.query('UPDATE thing SET n = n + 1 WHERE id = 1');
          const queryRunner = await database.acquire(WAIT_MS);
          await queryRunner.startTransaction();
          await queryRunner.query('UPDATE thing SET n = n + 1 WHERE id = 2');
          const waiting = failureOf(queryRunner.query('UPDATE thing SET n = n + 1 WHERE id = 1'));
          expect(await database.cut(queryRunner, new Error('cut'))).toBeUndefined();
          await waiting;
          // Its lock is free although the one that it waits for is not.
          await harness.outside.query('UPDATE thing SET n = 0 WHERE id = 2');
          await eventually(async () => expect(await harness.openTransactions()).toBe(1));
        });
      });
    });

    it('tells which texts it holds, and replaces what it does not', () => {
      expect(database.isStorable('order-4711')).toBe(true);
      expect(database.isStorable('a\u0000b')).toBe(false);
      expect(database.isStorable('\ud800')).toBe(false);
      for (const text of ['plain', 'a\u0000b', '\ud800', '库存不足 €']) {
        expect(database.isStorable(database.storable(text))).toBe(true);
      }
      expect(JSON.parse(database.storable(JSON.stringify({ 'k€y': '库' })))).toBeInstanceOf(Object);
    });

    it('lets the outbox and the inbox belong to the first service that asks, and says what to do when it was renamed', async () => {
      await Promise.all(Array.from({ length: 3 }, () => database.own('outbox', "o'brien")));
      await database.own('inbox', 'stock');
      await database.own('outbox', "o'brien");
      const refused = database.own('outbox', 'billing').catch((error: unknown) => error as Error);
      const { message } = (await refused) as Error;
      expect(message).toContain(`belongs to service "o'brien", and this application is "billing"`);
      const [handOver] = /UPDATE [^;]+/.exec(message) ?? [];
      await harness.outside.query(handOver ?? '');
      await database.own('outbox', 'billing');
      await expect(database.own('outbox', "o'brien")).rejects.toMatchObject({ code: 'INVALID_SETUP' });
    });
  });
}
