import { randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { MysqlDatabase } from '../../libs/reliable-mq/src/database/mysql/mysql-database';
import { MysqlInboxStore } from '../../libs/reliable-mq/src/database/mysql/mysql-inbox.store';
import { createTestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { describeInboxStore } from './inbox-store.contract';
import type { InboxHarness } from './inbox-store/inbox-fixture';
import { setIsolation } from './mysql-sessions';

const TABLE = 'reliable_mq_inbox';

async function createHarness(isolation: string, options: object = {}): Promise<InboxHarness> {
  const database = await createTestDatabase('mariadb');
  const dataSource = new DataSource({ type: 'mariadb', url: database.url, poolSize: 12, ...options });
  await dataSource.initialize();
  setIsolation(dataSource, isolation);
  await new MysqlDatabase('mariadb', dataSource).open('migrate');
  return {
    dataSource,
    store: new MysqlInboxStore(dataSource),
    row: async ({ eventId, consumer, type }) => {
      const rows = await database.inbox({ id: eventId });
      return rows.find((row) => row.consumer === consumer && row.type === type);
    },
    age: async ({ eventId, consumer, type }, byMs) => {
      await database.query(
        `UPDATE ${TABLE} SET due_at = due_at - INTERVAL $1 MICROSECOND, ended_at = ended_at - INTERVAL $1 MICROSECOND
         WHERE event_id = $2 AND consumer = $3 AND type = $4`,
        [byMs * 1000, eventId, consumer, type],
      );
    },
    waitingForLocks: () => database.waitingForLocks(),
    passed: (ms) => database.passed(ms),
    clear: () => database.empty(TABLE),
    dispose: async () => {
      await dataSource.destroy();
      await database.drop();
    },
  };
}

describeInboxStore('MariaDB', () => createHarness('REPEATABLE READ'));
describeInboxStore('MariaDB, READ COMMITTED, without FOUND_ROWS', () =>
  createHarness('READ COMMITTED', {
    flags: ['-FOUND_ROWS'],
    timezone: '+09:00',
    bigNumberStrings: true,
    supportBigNumbers: true,
  }),
);

describe('a message that is larger than the server takes', () => {
  it('is refused before it is sent, with what to do, and the database is not taken for lost', async () => {
    const { dataSource, store, dispose } = await createHarness('REPEATABLE READ');
    const [row] = await dataSource.query<{ bytes: string }[]>('SELECT @@max_allowed_packet AS bytes');
    const body = Buffer.alloc(Number(row?.bytes));
    const message = { version: 1, redrives: 0, bodyHash: null, key: null, body, properties: {} };
    const key = { eventId: randomUUID(), consumer: 'stock', type: 'order.created' };
    const failure = { reason: 'no', next: { end: 'dead' as const } };
    const port = new MysqlDatabase('mariadb', dataSource);
    for (const insert of [
      () => store.insertFailure(key, message, failure, 1_000),
      () => store.park(key, message, 'no'),
      () => store.adopt(key, message, { token: randomUUID(), leaseMs: 1_000 }, 2),
    ]) {
      const error = await insert().catch((reason: unknown) => reason);
      expect(String(error)).toMatch(/takes a statement of \d+ bytes, and the server takes \d+ \(max_allowed_packet\)/);
      expect(port.failureOf(error)).toBeUndefined();
    }
    const room = body.subarray(0, body.length - 64 * 1024);
    await expect(store.park(key, { ...message, body: room }, 'no')).resolves.toBe(true);
    await dispose();
  });
});

describe.each(['REPEATABLE READ', 'SERIALIZABLE'])('a transaction that has read before, under %s', (isolation) => {
  it('is told of a duplicate, or of a conflict as newer servers do, and handles nothing twice', async () => {
    const { dataSource, store, waitingForLocks, dispose } = await createHarness(isolation);
    const database = new MysqlDatabase('mariadb', dataSource);
    const key = { eventId: randomUUID(), consumer: 'stock', type: 'order.created' };
    const message = { version: 1, redrives: 0, bodyHash: null, key: null };
    const handle = (manager: EntityManager): Promise<boolean> => store.insertHandled(manager, key, message, 60_000);
    const [first, second] = [dataSource.createQueryRunner(), dataSource.createQueryRunner()];
    await first.startTransaction();
    await handle(first.manager);
    await second.startTransaction();
    // Of a row that is not there, and not beside the one in question: that would hold the first one up.
    await second.query(`SELECT 1 FROM reliable_mq_owner WHERE part = 'none'`);
    const duplicate = handle(second.manager).catch((error: unknown) => database.failureOf(error));
    await eventually(async () => expect(await waitingForLocks()).toBe(1));
    await first.commitTransaction();
    expect([false, 'conflict']).toContain(await duplicate);
    await second.rollbackTransaction();
    await expect(dataSource.transaction(handle)).resolves.toBe(false);
    for (const queryRunner of [first, second]) await queryRunner.release();
    await dispose();
  });
});
