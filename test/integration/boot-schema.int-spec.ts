import {
  EventRecorder,
  InboxEntry,
  MemoryBroker,
  OutboxEvent,
  ReliableMqMigration1,
  ReliableMqMigration2,
  ReliableMqMigration3,
  SchemaMissingError,
  schemaScript,
} from 'nestjs-reliable-mq';
import {
  DataSource,
  EntitySchema,
  type EntitySchemaColumnOptions,
  type EntitySchemaIndexOptions,
  getMetadataArgsStorage,
} from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { TestApp } from '../support/test-app';
import { noteWritten } from './record-harness';

const TABLES = ['audit', 'inbox', 'outbox', 'owner', 'paused', 'schema'].map((name) => `reliable_mq_${name}`);
const MIGRATIONS = [ReliableMqMigration1, ReliableMqMigration2, ReliableMqMigration3];
const VERSIONS = [{ version: 1 }, { version: 2 }, { version: 3 }];

describe('the tables', () => {
  let database: TestDatabase;
  const opened: { close(): Promise<void> }[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close();
    await database.drop();
  });

  async function start(
    schema: 'migrate' | 'verify',
    dataSource: Readonly<Record<string, unknown>> = {},
    broker?: MemoryBroker,
  ): Promise<TestApp> {
    const reliableMq = { service: 'shop', schema };
    const app = await TestApp.start({ database, broker, reliableMq, dataSource: { poolSize: 3, ...dataSource } });
    opened.push(app);
    return app;
  }

  async function connect(options: Partial<ConstructorParameters<typeof DataSource>[0]> = {}): Promise<DataSource> {
    const dataSource = new DataSource({ type: 'postgres', url: database.url, ...options } as ConstructorParameters<
      typeof DataSource
    >[0]);
    await dataSource.initialize();
    opened.push({ close: () => dataSource.destroy() });
    return dataSource;
  }

  const query = <Row>(sql: string): Promise<Row[]> => database.query<Row>(sql);

  const tables = async (schema = 'public'): Promise<string[]> =>
    (
      await query<{ name: string }>(
        `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '${schema}' ORDER BY 1`,
      )
    ).map(({ name }) => name);

  it('are created at boot, and left alone at the next one', async () => {
    const first = await start('migrate');
    expect(await tables()).toEqual(TABLES);
    const applied = await first.query('SELECT * FROM reliable_mq_schema ORDER BY version');
    const second = await start('migrate');
    expect(await second.query('SELECT * FROM reliable_mq_schema ORDER BY version')).toEqual(applied);
    await start('verify');
  });

  it('are created once by many instances that start together', async () => {
    await Promise.all(Array.from({ length: 6 }, () => start('migrate')));
    expect(await tables()).toEqual(TABLES);
    expect(await query('SELECT version FROM reliable_mq_schema ORDER BY version')).toEqual(VERSIONS);
  });

  describe("with schema: 'verify'", () => {
    it('must be there: the error has the exact commands, and no password', async () => {
      const url = new URL(database.url);
      url.password ||= 'n0body-knows';
      const error = (await start('verify', { url: url.href }).catch((reason: unknown) => reason)) as SchemaMissingError;
      expect(error).toBeInstanceOf(SchemaMissingError);
      expect(error).toMatchObject({ code: 'SCHEMA_MISSING', details: { version: 0, needed: 3 } });
      expect(error.message).toMatch(/are missing in postgres\S+/);
      expect(error.message).toContain(
        `\`npx nestjs-reliable-mq schema | psql -v ON_ERROR_STOP=1 "postgres://${url.username}@${url.host}`,
      );
      expect(error.message).toContain('ReliableMqMigration1, ReliableMqMigration2, and ReliableMqMigration3');
      expect(error.message).toContain("schema: 'migrate'");
      expect(error.message).not.toContain(url.password);
      expect(await tables()).toEqual([]);
    });

    it('may come from the printed script, which can be run again', async () => {
      await query(schemaScript());
      await query(schemaScript());
      await start('verify');
      expect(await tables()).toEqual(TABLES);
    });

    it('may come from the application’s own TypeORM migrations, and can be taken down again', async () => {
      const dataSource = await connect({ migrations: MIGRATIONS });
      expect((await dataSource.runMigrations()).map(({ name }) => name)).toEqual([
        'ReliableMqMigration1700000000001',
        'ReliableMqMigration1700000000002',
        'ReliableMqMigration1700000000003',
      ]);
      await start('verify');
      for (let left = MIGRATIONS.length; left > 0; left -= 1) await dataSource.undoLastMigration();
      expect(await tables()).toEqual(['migrations']);
    });
  });

  it('may have been created by hand before the application migrates', async () => {
    await query(schemaScript());
    await start('migrate');
    expect(await query('SELECT version FROM reliable_mq_schema ORDER BY version')).toEqual(VERSIONS);
  });

  it('are not created by a user who may not: the error says why, what to run as another one, and what to grant', async () => {
    const role = `${database.name}_reader`;
    await query(`CREATE ROLE "${role}" LOGIN PASSWORD 'reader'; REVOKE CREATE ON SCHEMA public FROM PUBLIC`);
    try {
      const url = new URL(database.url);
      url.username = role;
      url.password = 'reader';
      const error = (await start('migrate', { url: url.href }).catch(
        (reason: unknown) => reason,
      )) as SchemaMissingError;
      expect(error).toBeInstanceOf(SchemaMissingError);
      expect(error.message).toContain('Creating them failed: QueryFailedError: permission denied for schema public.');
      expect(error.message).toContain(
        `\`npx nestjs-reliable-mq schema | psql -v ON_ERROR_STOP=1 "postgres://OWNER@${url.host}${url.pathname}"\``,
      );
      expect(error.message).toContain(`grant SELECT, INSERT, UPDATE and DELETE on the tables to "${role}"`);
      expect(error.message).not.toContain("schema: 'migrate'");
      expect(error.message).not.toContain(':reader');
      expect((error.cause as Error).message).toMatch(/permission denied/);

      // What it advises is enough.
      await query(schemaScript());
      await query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${TABLES.join(', ')} TO "${role}"`);
      const app = await start('migrate', { url: url.href });
      expect(await app.query('SELECT version FROM reliable_mq_schema ORDER BY version')).toEqual(VERSIONS);
    } finally {
      for (const each of opened.splice(0)) await each.close();
      await query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    }
  });

  it('are not created in a schema that does not exist: the error says which one to create', async () => {
    const starting = start('migrate', { schema: 'an "odd" one', synchronize: false });
    const error = (await starting.catch((reason: unknown) => reason)) as SchemaMissingError;
    expect(error).toBeInstanceOf(SchemaMissingError);
    expect(error.message).toContain('Creating them failed: QueryFailedError: schema "an "odd" one" does not exist.');
    expect(error.message).toContain('CREATE SCHEMA "an ""odd"" one"');
    expect(error.message).not.toContain("schema: 'migrate'");
  });

  it('are in the schema of the DataSource, whether the application or the script creates them', async () => {
    await query('CREATE SCHEMA events; CREATE SCHEMA scripted');
    await query(schemaScript('scripted'));
    expect(await tables('scripted')).toEqual(TABLES);
    expect(await tables()).toEqual([]);

    for (const [schema, mode] of [
      ['events', 'migrate'],
      ['scripted', 'verify'],
    ] as const) {
      const broker = new MemoryBroker();
      broker.declare({ name: 'tap', kind: 'events', bindings: ['note.written'] });
      const app = await start(mode, { schema, synchronize: false }, broker);
      const events = app.get(EventRecorder);
      const id = await events.transaction(() => events.record(noteWritten('a')));
      await eventually(() => expect(broker.messages('tap')).toHaveLength(1));
      expect(await query(`SELECT id FROM ${schema}.reliable_mq_outbox`)).toEqual([{ id }]);
    }
    expect(await tables()).toEqual([]);
  });

  describe('and the entities', () => {
    /** The entity as TypeORM would synchronize it; the real ones say `synchronize: false`. */
    function synchronized(entity: typeof OutboxEvent | typeof InboxEntry): EntitySchema {
      const storage = getMetadataArgsStorage();
      const table = storage.tables.find(({ target }) => target === entity);
      const columns = storage.columns.filter(({ target }) => target === entity);
      const indices = storage.indices.filter(({ target }) => target === entity);
      return new EntitySchema({
        name: `${entity.name}Copy`,
        tableName: table?.name,
        columns: Object.fromEntries(
          columns.map(({ propertyName, options }) => [propertyName, options as EntitySchemaColumnOptions]),
        ),
        indices: indices.map(({ name, columns: indexed, where, unique }): EntitySchemaIndexOptions => ({
          name,
          columns: indexed as string[],
          where,
          unique,
        })),
      });
    }

    it('say the same as the migration: TypeORM finds nothing to change', async () => {
      await start('migrate');
      const dataSource = await connect({ entities: [synchronized(OutboxEvent), synchronized(InboxEntry)] });
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      expect(upQueries.map(({ query: sql }) => sql)).toEqual([]);
      // The comparison would see a difference in a column, and in an index.
      for (const change of [
        'ALTER TABLE reliable_mq_outbox ALTER COLUMN reason TYPE varchar(10)',
        'DROP INDEX reliable_mq_inbox_due',
      ]) {
        const before = (await dataSource.driver.createSchemaBuilder().log()).upQueries.length;
        await dataSource.query(change);
        expect((await dataSource.driver.createSchemaBuilder().log()).upQueries.length).toBeGreaterThan(before);
      }
    });

    it('may be registered with a DataSource that synchronizes, which leaves the tables alone', async () => {
      await start('migrate');
      const dataSource = await connect({ entities: [OutboxEvent, InboxEntry], synchronize: true });
      expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
      expect(await dataSource.getRepository(OutboxEvent).find()).toEqual([]);
      expect(await dataSource.getRepository(InboxEntry).find()).toEqual([]);
      expect(await tables()).toEqual(TABLES);
    });
  });
});
