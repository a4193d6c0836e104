import { ReliableMqMigration1, schemaScript, SchemaMissingError } from 'nestjs-reliable-mq';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { migrateSchema, verifySchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import { createTestDatabase, type TestDatabase } from '../support/database';

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
      expect(await admin.query('SELECT version FROM reliable_mq_schema')).toEqual([{ version: 1 }, { version: 2 }]);
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
    const dataSource = await connect({ migrations: [ReliableMqMigration1] });
    await migrateSchema(dataSource);
    const byModule = await shape(dataSource);
    expect(byModule).not.toEqual([]);

    await new ReliableMqMigration1().down(dataSource.createQueryRunner());
    expect(await shape(dataSource)).toEqual([]);
    await dataSource.runMigrations();
    expect(await shape(dataSource)).toEqual(byModule);
    await verifySchema(dataSource);

    await dataSource.undoLastMigration();
    for (let times = 0; times < 2; times += 1) await dataSource.query(schemaScript());
    expect(await shape(dataSource)).toEqual(byModule);
    await verifySchema(dataSource);
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
