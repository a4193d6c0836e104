import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { InvalidSetupError, OutboxEvent, SchemaMissingError, schemaScript } from 'nestjs-reliable-mq';
import { DataSource, DefaultNamingStrategy } from 'typeorm';
import { newEventId } from '../../libs/reliable-mq/src/event/event-id';
import type { OpenDatabase } from '../../libs/reliable-mq/src/database/database-kind';
import { POSTGRES } from '../../libs/reliable-mq/src/database/postgres/postgres';
import type { NewOutboxEvent } from '../../libs/reliable-mq/src/outbox/outbox.store';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { upTo } from './claim-limit';

type Options = Partial<ConstructorParameters<typeof DataSource>[0]>;

describe('Where the tables are in PostgreSQL, and who may do what to them', () => {
  let test: TestDatabase;
  let admin: DataSource;
  let role: string;
  const opened: DataSource[] = [];
  const logged: string[] = [];

  beforeEach(async () => {
    test = await createTestDatabase();
    admin = await connect();
    role = `${test.name}_app`;
    logged.length = 0;
    const log = (line: unknown): void => void logged.push(String(line));
    Logger.overrideLogger({ log: () => undefined, warn: log, error: log });
  });
  afterEach(async () => {
    Logger.overrideLogger(false);
    await admin.query(
      `DO $$ BEGIN IF to_regrole('"${role}"') IS NOT NULL THEN DROP OWNED BY "${role}"; END IF; END $$`,
    );
    await admin.query(`DROP ROLE IF EXISTS "${role}"`);
    for (const dataSource of opened.splice(0)) await dataSource.destroy();
    await test.drop();
  });

  async function connect(options: Options = {}): Promise<DataSource> {
    const all = { type: 'postgres', url: test.url, poolSize: 3, ...options } as ConstructorParameters<
      typeof DataSource
    >[0];
    const dataSource = await new DataSource(all).initialize();
    opened.push(dataSource);
    return dataSource;
  }

  /** As the application's role, with the tables made by the admin. */
  async function asRole(grants: string): Promise<DataSource> {
    await POSTGRES.open(admin, 'admin').database.open('migrate');
    await admin.query(`CREATE ROLE "${role}" LOGIN PASSWORD 'app'`);
    if (grants) await admin.query(`GRANT ${grants} ON ALL TABLES IN SCHEMA public TO "${role}"`);
    const url = new URL(test.url);
    url.username = role;
    url.password = 'app';
    return connect({ url: url.href });
  }

  const event = (): NewOutboxEvent => ({
    id: newEventId(),
    type: 'order.created',
    version: 1,
    payload: '{}',
    headers: null,
    consumers: [],
    confirm: true,
    key: null,
    causationId: null,
  });

  async function insert({ outbox }: OpenDatabase, dataSource: DataSource, before = 'SELECT 1'): Promise<string> {
    const { id, ...rest } = event();
    await dataSource.transaction(async (manager) => {
      await manager.query(before);
      await outbox.insert(manager, [{ id, ...rest }], randomUUID(), -1);
    });
    return id;
  }

  it("do not depend on a tenant's search_path", async () => {
    const open = POSTGRES.open(admin, 'default');
    await open.database.open('migrate');
    await admin.query('CREATE SCHEMA tenant');
    await admin.query('CREATE TABLE tenant.reliable_mq_outbox (LIKE public.reliable_mq_outbox INCLUDING ALL)');
    for (let times = 0; times < 2; times += 1) await insert(open, admin, 'SET LOCAL search_path TO tenant');
    expect((await open.outbox.claim('pending', upTo(9), 1000, randomUUID())).events).toHaveLength(2);
  });

  it('are found where they are on the search_path, although new ones would be created in another schema', async () => {
    await admin.query('CREATE SCHEMA first; CREATE SCHEMA second');
    await admin.query(schemaScript('second'));
    await admin.query(`ALTER DATABASE "${test.name}" SET search_path TO first, second`);
    const dataSource = await connect();
    const open = POSTGRES.open(dataSource, 'default');
    await open.database.open('migrate');
    await insert(open, dataSource);
    expect(await admin.query('SELECT id FROM second.reliable_mq_outbox')).toHaveLength(1);
  });

  it('must be named where a session of the pool and a new one would look for them in different schemas', async () => {
    const dataSource = await connect({ poolSize: 1 });
    await dataSource.query('CREATE SCHEMA left_by_a_migration');
    await dataSource.query('SET search_path TO left_by_a_migration');
    const error: unknown = await POSTGRES.open(dataSource, 'orders')
      .database.open('migrate')
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidSetupError);
    expect((error as Error).message).toContain('DataSource "orders"');
    expect((error as Error).message).toContain('left_by_a_migration and public');
    // Where only one of them has the tables, there is nothing to choose.
    await admin.query(schemaScript('public'));
    await POSTGRES.open(dataSource, 'orders').database.open('verify');
  });

  it.each([
    [
      'a missing right',
      'REVOKE DELETE ON reliable_mq_outbox FROM',
      'GRANT DELETE ON reliable_mq_outbox TO',
      /may not DELETE on "public"\."reliable_mq_outbox": GRANT DELETE/,
    ],
    [
      'several missing rights',
      'REVOKE INSERT, UPDATE ON reliable_mq_inbox FROM',
      'GRANT INSERT, UPDATE ON reliable_mq_inbox TO',
      /may not INSERT, UPDATE on "public"\."reliable_mq_inbox"/,
    ],
  ])(
    '%s is said at boot and mended while the application runs; verify refuses to start',
    async (_what, revoke, grant, text) => {
      const dataSource = await asRole('SELECT, INSERT, UPDATE, DELETE');
      await admin.query(`${revoke} "${role}"`);
      const { database } = POSTGRES.open(dataSource, 'default');
      await expect(database.open('verify')).rejects.toThrow(text);
      await database.open('migrate');
      expect(database.problems()).toEqual([expect.stringMatching(text)]);
      expect(logged.filter((line) => line.startsWith('The tables cannot be used as they must be'))).toHaveLength(1);
      await database.ping(5000);
      expect(database.problems()).toHaveLength(1);
      await admin.query(`${grant} "${role}"`);
      await database.ping(5000);
      expect(database.problems()).toEqual([]);
    },
  );

  it('that row-level security filters are said, and may belong to a role that it does not apply to', async () => {
    const dataSource = await asRole('SELECT, INSERT, UPDATE, DELETE');
    await admin.query('ALTER TABLE reliable_mq_inbox ENABLE ROW LEVEL SECURITY');
    const { database } = POSTGRES.open(dataSource, 'default');
    await database.open('migrate');
    expect(database.problems()).toEqual([expect.stringContaining('Row-level security applies to role')]);
    await admin.query(`ALTER ROLE "${role}" BYPASSRLS`);
    await database.open('verify');
  });

  it('are looked at again when a row is not there that must be', async () => {
    const dataSource = await asRole('SELECT, INSERT, UPDATE, DELETE');
    const { database, outbox } = POSTGRES.open(dataSource, 'default');
    await database.open('verify');
    await admin.query('ALTER TABLE reliable_mq_outbox ENABLE ROW LEVEL SECURITY');
    const settled = { id: newEventId(), token: randomUUID(), result: 'published', delayMs: 1, reason: null } as const;
    expect(await outbox.settle([settled])).toMatchObject([{ because: 'missing' }]);
    await eventually(() => expect(database.problems()).toEqual([expect.stringContaining('Row-level security')]));
  });

  it('are tables: a view of that name is none', async () => {
    await admin.query(schemaScript());
    await admin.query(
      'ALTER TABLE reliable_mq_inbox RENAME TO moved; CREATE VIEW reliable_mq_inbox AS SELECT * FROM moved',
    );
    await expect(POSTGRES.open(admin, 'default').database.open('verify')).rejects.toThrow(
      '"public"."reliable_mq_inbox" is not a table',
    );
  });

  describe('with other names', () => {
    class Suffixed extends DefaultNamingStrategy {
      override tableName(target: string, given: string | undefined): string {
        return `${super.tableName(target, given)}_v2`;
      }
    }

    it('two applications in one schema have their own, as TypeORM calls them, with their own indexes', async () => {
      const sources = [
        await connect({ entityPrefix: 'shop_', entities: [OutboxEvent] }),
        await connect({ namingStrategy: new Suffixed(), entities: [OutboxEvent] }),
        await connect({ entities: [OutboxEvent] }),
      ];
      for (const dataSource of sources) {
        const open = POSTGRES.open(dataSource, 'default');
        await open.database.open('migrate');
        const id = await insert(open, dataSource);
        expect(await dataSource.getRepository(OutboxEvent).find()).toMatchObject([{ id }]);
        expect((await open.outbox.claim('pending', upTo(9), 1000, randomUUID())).events).toMatchObject([{ id }]);
        await open.database.own('outbox', id);
      }
      const found = await admin.query<{ name: string }[]>(
        `SELECT relname AS name FROM pg_class WHERE relname LIKE '%reliable_mq_outbox%due' OR relname LIKE '%reliable_mq_outbox_v2_due' ORDER BY 1`,
      );
      expect(found.map(({ name }) => name)).toEqual([
        'reliable_mq_outbox_due',
        'reliable_mq_outbox_v2_due',
        'shop_reliable_mq_outbox_due',
      ]);
    });

    it('come from the printed script with a prefix, and are asked for by name where they are missing', async () => {
      const dataSource = await connect({ entityPrefix: 'shop_' });
      const { database } = POSTGRES.open(dataSource, 'default');
      const error: unknown = await database.open('verify').catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SchemaMissingError);
      expect((error as Error).message).toContain('npx nestjs-reliable-mq schema --prefix shop_ | psql');
      await admin.query(schemaScript(undefined, { prefix: 'shop_' }));
      await database.open('verify');
    });
  });

  it.each([
    ['a serialization failure', '40001'],
    ['a deadlock', '40P01'],
  ])('%s beside a statement of the library is nobody’s failure: the statement is tried again', async (_what, state) => {
    const { database, outbox } = POSTGRES.open(admin, 'default');
    await database.open('migrate');
    const id = await insert({ outbox } as OpenDatabase, admin);
    await admin.query('CREATE SEQUENCE failures');
    await admin.query(
      `CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN IF nextval('failures') % 3 > 0 THEN RAISE 'beside' USING ERRCODE = '${state}'; END IF; RETURN coalesce(NEW, OLD); END $$`,
    );
    await admin.query(
      'CREATE TRIGGER conflict BEFORE UPDATE OR DELETE ON reliable_mq_outbox FOR EACH ROW EXECUTE FUNCTION conflict()',
    );
    const token = randomUUID();
    expect((await outbox.claim('pending', upTo(1), 60_000, token)).events).toMatchObject([{ id, attempts: 1 }]);
    const published = { id, token, result: 'published', delayMs: 1, reason: null } as const;
    expect(await outbox.settle([published])).toEqual([]);
    const handled = {
      eventId: id,
      consumer: 'a',
      outcome: 'handled',
      reason: null,
      retryAfterMs: null,
      redrives: 0,
    } as const;
    expect((await outbox.applyReceipts([handled])).applied).toMatchObject([{ status: 'consumed' }]);
    await eventually(async () => expect(await outbox.prune(0, 10)).toEqual([id]));
  });
});
