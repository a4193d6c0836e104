import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { schemaScript } from '../../libs/reliable-mq/src/database/databases';
import { MysqlDatabase } from '../../libs/reliable-mq/src/database/mysql/mysql-database';
import { MysqlOutboxStore } from '../../libs/reliable-mq/src/database/mysql/mysql-outbox.store';
import {
  ReliableMqMigration1,
  ReliableMqMigration2,
  ReliableMqMigration3,
} from '../../libs/reliable-mq/src/database/typeorm-migrations';
import { newEventId } from '../../libs/reliable-mq/src/event/event-id';
import type { NewOutboxEvent } from '../../libs/reliable-mq/src/outbox/outbox.store';
import type { MariadbServer } from '../../tools/servers/mariadb';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { usePrivateServers } from '../support/private-servers';

const servers = usePrivateServers();

describe('the tables on MariaDB', () => {
  let server: MariadbServer;
  let test: TestDatabase;
  let opened: DataSource[] = [];

  async function connect(options: object = {}): Promise<DataSource> {
    const dataSource = await new DataSource({ type: 'mariadb', url: test.url, poolSize: 3, ...options }).initialize();
    opened.push(dataSource);
    return dataSource;
  }

  async function open(options: object = {}, schema: 'migrate' | 'verify' = 'migrate'): Promise<MysqlDatabase> {
    const database = new MysqlDatabase('mariadb', await connect(options));
    await database.open(schema);
    return database;
  }

  const columns = (): Promise<unknown[]> =>
    test.query(
      `SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, COLLATION_NAME, IS_NULLABLE, COLUMN_KEY FROM information_schema.COLUMNS
       WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1, 2`,
    );

  beforeEach(async () => {
    server = await servers.mariadb();
    test = await createTestDatabase(server.url());
  });
  afterEach(async () => {
    for (const dataSource of opened) await dataSource.destroy();
    opened = [];
    await test.drop();
  });

  it('are made once by instances that start together, and are those of the script, which may be run again', async () => {
    await Promise.all(Array.from({ length: 4 }, () => open()));
    const made = await columns();
    expect(made.length).toBeGreaterThan(50);
    for (const table of ['outbox', 'inbox', 'owner', 'audit', 'paused', 'schema']) {
      await test.query(`DROP TABLE reliable_mq_${table}`);
    }
    const runner = await connect({ multipleStatements: true });
    const script = schemaScript(undefined, { database: 'mariadb' });
    await runner.query(script);
    await runner.query(script);
    expect(await columns()).toEqual(made);
    await open({}, 'verify');
  });

  it('are made by the migrations of the application too, and go with them', async () => {
    const migrations = [ReliableMqMigration1, ReliableMqMigration2, ReliableMqMigration3];
    const dataSource = await connect({ migrations });
    await dataSource.runMigrations();
    await open({}, 'verify');
    for (let left = migrations.length; left > 0; left -= 1) await dataSource.undoLastMigration();
    expect(await test.query("SHOW TABLES LIKE 'reliable%'")).toEqual([]);
  });

  it('go on where a migration was interrupted', async () => {
    await open();
    await test.query('DROP TABLE reliable_mq_owner');
    await test.query('DELETE FROM reliable_mq_schema');
    expect((await open()).problems()).toEqual([]);
  });

  it('have the prefix of the entities, and stay in the database of the DataSource whatever a session uses', async () => {
    const dataSource = await connect({ entityPrefix: 'shop_' });
    const database = new MysqlDatabase('mariadb', dataSource);
    await database.open('migrate');
    const store = new MysqlOutboxStore(dataSource);
    await dataSource.transaction(async (manager) => {
      await manager.query('USE information_schema');
      await store.insert(manager, [event()], randomUUID(), 1000);
      await manager.query(`USE \`${test.name}\``);
    });
    expect(await test.query('SELECT 1 FROM shop_reliable_mq_outbox')).toHaveLength(1);
  });

  it('that are missing are said with the command that makes them', async () => {
    await expect(open({}, 'verify')).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      message: expect.stringContaining(
        `npx nestjs-reliable-mq schema --database mariadb | mariadb -h 127.0.0.1 -P ${server.port} -u root -p ${test.name}`,
      ) as string,
    });
  });

  it('are told apart by their ids to the last space', async () => {
    const database = await open();
    expect(database.problems()).toEqual([]);
    for (const id of ['a', 'a ', 'A']) {
      await test.query(
        `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, history, received_at)
         VALUES ($1, 'c', 't', 1, 'handled', 1, '[]', UTC_TIMESTAMP(6))`,
        [id],
      );
    }
  });

  it('that have no transactions, or that the user may not change, are problems with their remedies', async () => {
    await open();
    await test.query('ALTER TABLE reliable_mq_owner ENGINE = MyISAM');
    await test.query("CREATE USER IF NOT EXISTS 'app'@'%'");
    await test.query(`GRANT SELECT, INSERT, UPDATE ON \`${test.name}\`.* TO 'app'@'%'`);
    const url = test.url.replace('root@', 'app@');
    const database = await open({ url });
    expect(database.problems()).toEqual([
      expect.stringContaining(
        `User 'app'@'%' may not DELETE on \`${test.name}\`.\`reliable_mq_outbox\`: GRANT DELETE ON`,
      ),
      expect.stringContaining('may not DELETE on'),
      expect.stringContaining('ENGINE = InnoDB'),
      expect.stringContaining('may not DELETE on'),
    ]);
    for (const problem of database.problems()) {
      const [, grant] = /(GRANT .*)\.$/.exec(problem) ?? [];
      if (grant !== undefined) await test.query(grant);
    }
    await database.ping(5000);
    expect(database.problems()).toEqual([expect.stringContaining('ENGINE = InnoDB')]);
    await expect(open({ url }, 'verify')).rejects.toMatchObject({ code: 'INVALID_SETUP' });
    await test.query('ALTER TABLE reliable_mq_owner ENGINE = InnoDB');
    await database.ping(5000);
    expect(database.problems()).toEqual([]);
  });

  it.each([
    ['sql_mode', "''", /not strict[\s\S]*SET GLOBAL sql_mode/],
    ['sql_mode', "'STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES'", /NO_BACKSLASH_ESCAPES/],
    ['completion_type', "'CHAIN'", /SET GLOBAL completion_type/],
    ['tx_isolation', "'READ-UNCOMMITTED'", /SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED/],
  ])('are not used where %s = %s breaks a promise', async (variable, value, remedy) => {
    const [before] = await test.query<{ value: string }>(`SELECT @@GLOBAL.${variable} AS value`);
    await test.query(`SET GLOBAL ${variable} = ${value}`);
    try {
      await expect(open()).rejects.toMatchObject({
        code: 'INVALID_SETUP',
        message: expect.stringMatching(remedy) as string,
      });
    } finally {
      await test.query(`SET GLOBAL ${variable} = $1`, [before?.value]);
    }
  });

  it('are not used by sessions that cannot say all of Unicode', async () => {
    await expect(open({ charset: 'latin1' })).rejects.toThrow(/charset: 'utf8mb4'/);
  });

  it('take events as large as the server takes statements, and a larger one is refused before it is sent', async () => {
    await test.query('SET GLOBAL max_allowed_packet = 1048576');
    try {
      const dataSource = await connect();
      await new MysqlDatabase('mariadb', dataSource).open('migrate');
      const store = new MysqlOutboxStore(dataSource);
      const insert = (...events: NewOutboxEvent[]): Promise<void> =>
        dataSource.transaction((manager) => store.insert(manager, events, randomUUID(), 60_000));
      const quotes = JSON.stringify('"'.repeat(160_000));
      await insert(...Array.from({ length: 5 }, () => event(quotes)));
      await insert(event(JSON.stringify('x'.repeat(1_000_000))));
      await expect(insert(event(JSON.stringify('"'.repeat(400_000))))).rejects.toThrow(
        /max_allowed_packet[\s\S]*2097152/,
      );
      expect(await test.query('SELECT 1 FROM reliable_mq_outbox')).toHaveLength(6);
      const claim = await store.claim('pending', { rows: 10, bytes: 1 }, 1000, randomUUID(), undefined);
      expect(claim.events).toEqual([]);
    } finally {
      await test.query('SET GLOBAL max_allowed_packet = 16777216');
    }
  });

  describe('with many ended events', () => {
    it('are read by index: what is due, and what is named; nothing is sorted, and nothing scanned', async () => {
      // One session, whose own numbers no other test changes.
      const dataSource = await connect({ poolSize: 1 });
      const database = new MysqlDatabase('mariadb', dataSource);
      await database.open('migrate');
      const store = new MysqlOutboxStore(dataSource);
      const events = Array.from({ length: 3000 }, () => event());
      const token = randomUUID();
      await dataSource.transaction((manager) => store.insert(manager, events, token, 0));
      const settled = events
        .slice(0, 2900)
        .map(({ id }) => ({ id, token, result: 'published', delayMs: 0, reason: null }) as const);
      await store.settle(settled);
      await store.applyReceipts(
        settled.map(({ id }) => ({
          eventId: id,
          consumer: 'c',
          outcome: 'handled',
          reason: null,
          retryAfterMs: null,
          redrives: 0,
        })),
      );
      await test.query('ANALYZE TABLE reliable_mq_outbox');
      const read = async (work: () => Promise<unknown>): Promise<number> => {
        const rows = async (): Promise<number> => {
          const found = await dataSource.query<{ Value: string }[]>("SHOW SESSION STATUS LIKE 'Handler_read_%'");
          return found.reduce((sum, { Value }) => sum + Number(Value), 0);
        };
        const before = await rows();
        await work();
        return (await rows()) - before;
      };
      // Reading the numbers reads rows as well.
      const idle = await read(() => Promise.resolve());
      const limit = { rows: 10, bytes: 1_000_000 };
      expect(await read(() => store.claim('pending', limit, 60_000, randomUUID()))).toBeLessThan(idle + 100);
      const ids = events.slice(100, 110).map(({ id }) => id);
      expect(await read(() => store.existing(ids, token))).toBeLessThan(idle + 100);
      expect(await read(() => store.prune(0, 10))).toBeLessThan(idle + 100);
    });
  });
});

function event(payload = '{}'): NewOutboxEvent {
  return {
    id: newEventId(),
    type: 'order.created',
    version: 1,
    payload,
    headers: null,
    consumers: [],
    confirm: true,
    key: null,
    causationId: null,
  };
}
