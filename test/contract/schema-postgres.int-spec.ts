import {
  ReliableMqMigration1,
  ReliableMqMigration2,
  ReliableMqMigration3,
  schemaScript,
  SchemaMissingError,
} from 'nestjs-reliable-mq';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { migrateSchema, verifySchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/database';

const MIGRATIONS = [ReliableMqMigration1, ReliableMqMigration2, ReliableMqMigration3];
const VERSIONS = MIGRATIONS.map((_, index) => ({ version: index + 1 }));

describe('The tables in PostgreSQL', () => {
  let database: TestDatabase;
  const dataSources: DataSource[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const dataSource of dataSources.splice(0)) await dataSource.destroy();
    await database.drop();
  });

  async function connect(options: Partial<DataSourceOptions> = {}): Promise<DataSource> {
    const dataSource = new DataSource({ type: 'postgres', url: database.url, ...options } as DataSourceOptions);
    await dataSource.initialize();
    dataSources.push(dataSource);
    return dataSource;
  }

  /** Everything that the catalogs know of the tables. */
  async function shape(dataSource: DataSource): Promise<unknown> {
    return dataSource.query(
      `SELECT c.relname, c.reloptions, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS default,
         CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) END AS index
       FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
       WHERE c.relname LIKE 'reliable_mq%' ORDER BY c.relname, a.attnum`,
    );
  }

  it.each(['read committed', 'repeatable read', 'serializable'])(
    'are created once by many instances that start at once (%s by default)',
    async (isolation) => {
      const admin = await connect();
      await admin.query(`ALTER DATABASE "${database.name}" SET default_transaction_isolation = '${isolation}'`);
      const instances = await Promise.all(Array.from({ length: 6 }, () => connect()));
      await Promise.all(instances.map((instance) => migrateSchema(instance)));
      await Promise.all(instances.map((instance) => verifySchema(instance)));
      expect(await admin.query('SELECT version FROM reliable_mq_schema ORDER BY version')).toEqual(VERSIONS);
    },
  );

  it('are not touched when they are there', async () => {
    const dataSource = await connect();
    await migrateSchema(dataSource);
    const before = await dataSource.query(`SELECT oid FROM pg_class WHERE relname LIKE 'reliable_mq%' ORDER BY oid`);
    await migrateSchema(dataSource);
    expect(await dataSource.query(`SELECT oid FROM pg_class WHERE relname LIKE 'reliable_mq%' ORDER BY oid`)).toEqual(
      before,
    );
  });

  it('are the same by the module, by the TypeORM migration and by the printed script', async () => {
    const dataSource = await connect({ migrations: MIGRATIONS });
    await migrateSchema(dataSource);
    const byModule = await shape(dataSource);
    expect(byModule).not.toEqual([]);

    for (const Migration of [...MIGRATIONS].reverse()) await new Migration().down(dataSource.createQueryRunner());
    expect(await shape(dataSource)).toEqual([]);
    await dataSource.runMigrations();
    expect(await shape(dataSource)).toEqual(byModule);
    await verifySchema(dataSource);

    for (let left = MIGRATIONS.length; left > 0; left -= 1) await dataSource.undoLastMigration();
    expect(await shape(dataSource)).toEqual([]);
    for (let times = 0; times < 2; times += 1) await dataSource.query(schemaScript());
    expect(await shape(dataSource)).toEqual(byModule);
    await verifySchema(dataSource);
  });

  it.each([
    ['the module', (dataSource: DataSource) => migrateSchema(dataSource)],
    ['a newer script', (dataSource: DataSource) => dataSource.query(schemaScript())],
  ])('are brought up to date by %s where TypeORM has run the first migration only', async (_who, update) => {
    const old = await connect({ migrations: [ReliableMqMigration1] });
    await old.runMigrations();
    await expect(verifySchema(old)).rejects.toThrow('are at version 1, version 3 is needed,');

    await update(old);
    await verifySchema(old);
    const byUpdate = await shape(old);
    // TypeORM, which has not run it, finds nothing to do.
    const current = await connect({ migrations: MIGRATIONS });
    expect(await current.runMigrations()).toHaveLength(2);
    expect(await shape(old)).toEqual(byUpdate);
  });

  it('are brought up to date by the later TypeORM migrations', async () => {
    await (await connect({ migrations: [ReliableMqMigration1] })).runMigrations();
    const current = await connect({ migrations: MIGRATIONS });
    expect((await current.runMigrations()).map(({ name }) => name)).toEqual([
      'ReliableMqMigration1700000000002',
      'ReliableMqMigration1700000000003',
    ]);
    await verifySchema(current);
  });

  it('stay at the version that was reached when a later migration fails, and go on from there', async () => {
    const dataSource = await connect();
    // A table is a type too, so this is in the way of the one that the second migration creates.
    await dataSource.query('CREATE TYPE reliable_mq_owner AS ENUM ()');
    await expect(migrateSchema(dataSource)).rejects.toThrow('version 3 is needed');
    expect(await dataSource.query('SELECT version FROM reliable_mq_schema')).toEqual([{ version: 1 }]);

    await dataSource.query('DROP TYPE reliable_mq_owner');
    await migrateSchema(dataSource);
    expect(await dataSource.query('SELECT version FROM reliable_mq_schema ORDER BY version')).toEqual(VERSIONS);
  });

  describe('that are large', () => {
    const INDEXES = ['inbox_event_key', 'outbox_causation', 'outbox_event_key', 'outbox_person'];

    /** At version 2, with an outbox that is read longer than writers should wait. */
    async function large(options: Partial<DataSourceOptions> = {}): Promise<DataSource> {
      const old = await connect({ migrations: [ReliableMqMigration1, ReliableMqMigration2] });
      await old.runMigrations();
      await old.query('ALTER TABLE reliable_mq_outbox SET (fillfactor = 10)');
      await old.query(
        `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts)
         SELECT gen_random_uuid(), 'a', 1, to_json(repeat('x', 800)), '[]', true, 'consumed', 1 FROM generate_series(1, 9000)`,
      );
      return connect({ migrations: MIGRATIONS, ...options });
    }

    async function indexes(dataSource: DataSource): Promise<unknown[]> {
      const rows = await dataSource.query<{ name: string }[]>(
        `SELECT substr(indexrelid::regclass::text, 13) AS name FROM pg_index
         WHERE indisvalid AND indexrelid::regclass::text ~ '(key|causation|person)$' AND NOT indisprimary ORDER BY 1`,
      );
      return rows.map(({ name }) => name);
    }

    /** As psql takes a script apart. */
    function statementsOf(script: string): readonly string[] {
      const parts = script.split(/(\$\w+\$[^]*?\$\w+\$)/);
      const marked = parts.map((part, index) => (index % 2 === 1 ? part : part.replaceAll(';', '\u0000')));
      return marked
        .join('')
        .split('\u0000')
        .filter((statement) => statement.trim() !== '');
    }

    it('get their indexes beside the application that runs, once, by whichever instance comes first', async () => {
      const dataSource = await large();
      // A build that was interrupted has left an index that nobody may use.
      await dataSource.query('ALTER TABLE reliable_mq_outbox ADD COLUMN event_key character varying(200)');
      await dataSource.query('CREATE INDEX reliable_mq_outbox_event_key ON reliable_mq_outbox (id)');
      await dataSource.query(
        `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'reliable_mq_outbox_event_key'::regclass`,
      );
      const statements: string[] = [];
      dataSource.subscribers.push({ beforeQuery: ({ query }) => void statements.push(query) });
      const instances = [dataSource, ...(await Promise.all(Array.from({ length: 3 }, () => connect())))];
      // An older instance writes all the time.
      const older = await connect();
      let isBuilding = true;
      let written = 0;
      const writing = (async () => {
        while (isBuilding) {
          await older.query(
            `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts)
             VALUES (gen_random_uuid(), 'a', 1, '{}', '[]', true, 'consumed', 1)`,
          );
          written += 1;
        }
      })();
      await Promise.all(instances.map((instance) => migrateSchema(instance)));
      isBuilding = false;
      await writing;
      expect(written).toBeGreaterThan(0);
      await verifySchema(dataSource);
      expect(await dataSource.query('SELECT version FROM reliable_mq_schema ORDER BY version')).toEqual(VERSIONS);
      expect(await indexes(dataSource)).toEqual(INDEXES);
      const [index] = await dataSource.query<{ def: string }[]>(
        `SELECT pg_get_indexdef('reliable_mq_outbox_event_key'::regclass) AS def`,
      );
      expect(index?.def).toContain('(event_key, id)');
      expect(statements.filter((sql) => /^CREATE INDEX (?!CONCURRENTLY)/.test(sql))).toEqual([]);
    }, 60_000);

    it('keep nobody waiting for a transaction that has one of them: the next try comes when that is over', async () => {
      const dataSource = await large();
      const admin = await connect();
      const holder = admin.createQueryRunner();
      await holder.startTransaction();
      await holder.query('SELECT FROM reliable_mq_outbox LIMIT 1 FOR UPDATE');
      const migrating = migrateSchema(dataSource);
      await eventually(async () => {
        const [row] = await admin.query<{ n: number }[]>(
          `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'ALTER TABLE%' AND wait_event_type = 'Lock'`,
        );
        expect(row?.n).toBe(1);
      });
      // Writers that come now wait behind it, and are let go before the holder has ended.
      await (await connect()).query("DELETE FROM reliable_mq_outbox WHERE type = 'none'");
      await holder.commitTransaction();
      await holder.release();
      await migrating;
      expect(await indexes(dataSource)).toEqual(INDEXES);
    }, 60_000);

    it('are refused by the TypeORM migration in a transaction, and brought up to date without one', async () => {
      const dataSource = await large();
      await expect(dataSource.runMigrations()).rejects.toThrow(
        /^ReliableMqMigration3 builds indexes on tables that are large.*migrationsTransactionMode: 'none'.*npx nestjs-reliable-mq schema \| psql/,
      );
      await expect(verifySchema(dataSource)).rejects.toThrow('are at version 2');
      await dataSource.runMigrations({ transaction: 'none' });
      await verifySchema(dataSource);
      expect(await indexes(dataSource)).toEqual(INDEXES);
    }, 60_000);

    it('are brought up to date by the online script, statement by statement, also when it was interrupted', async () => {
      const dataSource = await large();
      const queryRunner = dataSource.createQueryRunner();
      const statements = statementsOf(schemaScript(undefined, { online: true }));
      const committed = statements.findIndex((statement) => statement.trim() === 'COMMIT') + 1;
      for (const count of [committed, committed + 3]) {
        for (const statement of statements.slice(0, count)) await queryRunner.query(statement);
        await expect(verifySchema(dataSource)).rejects.toThrow('are at version 2');
      }
      for (let times = 0; times < 2; times += 1) for (const statement of statements) await queryRunner.query(statement);
      await queryRunner.release();
      await verifySchema(dataSource);
      expect(await indexes(dataSource)).toEqual(INDEXES);
    }, 60_000);
  });

  it('are created in the schema of the DataSource, each DataSource with its own', async () => {
    const admin = await connect();
    await admin.query('CREATE SCHEMA events');
    const inSchema = await connect({ schema: 'events' });
    await migrateSchema(inSchema);
    await verifySchema(inSchema);
    await expect(verifySchema(admin)).rejects.toThrow(SchemaMissingError);
    await migrateSchema(admin);
    await verifySchema(admin);
  });

  it('when they are missing, the error says which command creates them, without a password', async () => {
    const url = new URL(database.url);
    url.password = 'secret';
    const dataSource = await connect({ url: url.href, schema: 'events' });
    const failure = verifySchema(dataSource).catch((error: unknown) => error as Error);
    const { message } = (await failure) as Error;
    expect(message).toContain('npx nestjs-reliable-mq schema --schema events | psql');
    expect(message).not.toContain('secret');
  });

  it('when the database refuses to create them, the error says so and keeps the cause', async () => {
    const dataSource = await connect({ schema: 'missing' });
    await expect(migrateSchema(dataSource)).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      message: expect.stringContaining('Creating them failed') as string,
      cause: expect.objectContaining({ message: expect.stringContaining('missing') as string }) as Error,
    });
  });
});
