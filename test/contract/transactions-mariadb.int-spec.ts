import { DataSource, type EntityManager } from 'typeorm';
import { createStoreSet, Stores } from '../../libs/reliable-mq/src/database/stores';
import type { CommittedEvents } from '../../libs/reliable-mq/src/transaction/committed-events';
import { TransactionContext } from '../../libs/reliable-mq/src/transaction/transaction-context';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';

describe('a transaction on MariaDB that the server has rolled back, whole, at a deadlock', () => {
  let test: TestDatabase;
  let dataSource: DataSource;
  let outside: DataSource;
  let transactions: TransactionContext;

  beforeAll(async () => {
    test = await createTestDatabase('mariadb');
    dataSource = await new DataSource({ type: 'mariadb', url: test.url, poolSize: 3 }).initialize();
    outside = await new DataSource({ type: 'mariadb', url: test.url, poolSize: 3 }).initialize();
    const set = createStoreSet('default', dataSource);
    await set.database.open('migrate');
    transactions = new TransactionContext(new Stores([set]), { handOver: jest.fn() } as unknown as CommittedEvents);
    await outside.query('CREATE TABLE thing (id INT PRIMARY KEY, n INT NOT NULL)');
    for (let id = 1; id <= 40; id += 1) await outside.query('INSERT INTO thing VALUES (?, 0)', [id]);
  });
  beforeEach(() => outside.query('UPDATE thing SET n = 0'));
  afterAll(async () => {
    await dataSource.destroy();
    await outside.destroy();
    await test.drop();
  });

  const add = (to: EntityManager | DataSource, id: number): Promise<unknown> =>
    to.query('UPDATE thing SET n = n + 1 WHERE id = ?', [id]);

  /** Its transaction has changed less than the other one, so it is the one that the server gives up. */
  async function loseDeadlock(): Promise<unknown> {
    await add(dataSource, 1);
    let other: Promise<unknown> = Promise.resolve();
    const lost = await outside.transaction(async (manager) => {
      for (let id = 2; id <= 40; id += 1) await add(manager, id);
      other = add(manager, 1);
      await eventually(async () => expect(await test.waitingForLocks()).toBe(1));
      const error: unknown = await add(dataSource, 2).catch((reason: unknown) => reason);
      await other;
      return error;
    });
    expect(lost).toMatchObject({ errno: 1213 });
    return lost;
  }

  it('takes no statement any more: it would be committed by itself', async () => {
    const run = transactions.run(dataSource, undefined, async () => {
      const cause = await loseDeadlock();
      await expect(add(dataSource, 3)).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED', cause });
    });
    await expect(run).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED', cause: { errno: 1213 } });
    const [row] = await outside.query<[{ n: number }]>('SELECT n FROM thing WHERE id = 3');
    expect(row.n).toBe(1);
  });

  it('is not committed when its error was swallowed, and its connection serves the next one', async () => {
    await expect(transactions.run(dataSource, undefined, loseDeadlock)).rejects.toMatchObject({
      code: 'TRANSACTION_ABORTED',
      cause: { errno: 1213 },
    });
    await transactions.run(dataSource, undefined, () => add(dataSource, 3));
    const rows = await outside.query<{ id: number; n: number }[]>(
      'SELECT id, n FROM thing WHERE id IN (1, 3) ORDER BY id',
    );
    expect(rows).toEqual([
      { id: 1, n: 1 },
      { id: 3, n: 2 },
    ]);
  });
});
