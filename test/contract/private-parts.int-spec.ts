import { EXCEPTION_FILTERS_METADATA, FILTER_CATCH_EXCEPTIONS } from '@nestjs/common/constants.js';
import { Exclude, Expose, Transform, Type } from 'class-transformer';
import { Catch, Module, UseFilters } from '@nestjs/common';
import { ExternalContextCreator, NestFactory } from '@nestjs/core';
import { AmqpConnection } from '@golevelup/nestjs-rabbitmq';
import { connect } from 'amqplib';
import { defaultMetadataStorage } from 'class-transformer/cjs/storage.js';
import { ValidationExecutor } from 'class-validator/cjs/validation/ValidationExecutor.js';
import type { Client, PoolClient } from 'pg';
import { DataSource, type QueryRunner } from 'typeorm';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { rabbitmqUrl } from '../support/rabbitmq';

/** Each fails by its name when a package no longer has what the library relies on: see docs/adr/0033. */
describe('private parts that are relied on', () => {
  describe('TypeORM and pg', () => {
    let database: TestDatabase;
    let dataSource: DataSource;
    let queryRunner: QueryRunner;

    beforeAll(async () => {
      database = await createTestDatabase();
      dataSource = await new DataSource({ type: 'postgres', url: database.url, poolSize: 3 }).initialize();
    });
    beforeEach(() => (queryRunner = dataSource.createQueryRunner()));
    afterEach(() => queryRunner.release());
    afterAll(async () => {
      await dataSource.destroy();
      await database.drop();
    });

    const client = async (): Promise<PoolClient & { getTransactionStatus(): string; processID: number }> =>
      queryRunner.connect() as Promise<PoolClient & { getTransactionStatus(): string; processID: number }>;

    it('a DataSource asks its own createQueryRunner for the query runners of transactions', async () => {
      const made: QueryRunner[] = [];
      const create = dataSource.createQueryRunner.bind(dataSource);
      dataSource.createQueryRunner = (mode) => {
        const one = create(mode);
        made.push(one);
        return one;
      };
      await dataSource.transaction(async (manager) => {
        expect(made).toContain(manager.queryRunner);
      });
      dataSource.createQueryRunner = create;
    });

    it('a manager that has the property queryRunner uses it', async () => {
      const manager = dataSource.createEntityManager();
      Object.defineProperty(manager, 'queryRunner', { configurable: true, get: () => queryRunner });
      await queryRunner.startTransaction();
      const [own] = await manager.query<[{ id: string }]>('SELECT txid_current()::text AS id');
      const [runners] = (await queryRunner.query('SELECT txid_current()::text AS id')) as [{ id: string }];
      await queryRunner.rollbackTransaction();
      expect(own.id).toBe(runners.id);
    });

    it('a query runner sends the ends of transactions and savepoints in these words, and counts their depth', async () => {
      const sent: string[] = [];
      const query = queryRunner.query.bind(queryRunner);
      queryRunner.query = ((text: string, ...rest: []) => {
        sent.push(text);
        return query(text, ...rest);
      }) as QueryRunner['query'];
      const depth = (): unknown => (queryRunner as unknown as { transactionDepth: unknown }).transactionDepth;
      await queryRunner.startTransaction();
      await queryRunner.startTransaction();
      expect(depth()).toBe(2);
      await queryRunner.commitTransaction();
      await queryRunner.startTransaction();
      await queryRunner.rollbackTransaction();
      await queryRunner.commitTransaction();
      await queryRunner.startTransaction();
      await queryRunner.rollbackTransaction();
      expect(sent).toEqual([
        'START TRANSACTION',
        'SAVEPOINT typeorm_1',
        'RELEASE SAVEPOINT typeorm_1',
        'SAVEPOINT typeorm_1',
        'ROLLBACK TO SAVEPOINT typeorm_1',
        'COMMIT',
        'START TRANSACTION',
        'ROLLBACK',
      ]);
    });

    it('a subscriber that is pushed to a DataSource is told of each statement', async () => {
      const told: string[] = [];
      dataSource.subscribers.push({ afterQuery: ({ query }) => void told.push(query) });
      await queryRunner.query('SELECT 4711');
      dataSource.subscribers.pop();
      expect(told).toContain('SELECT 4711');
    });

    it("a driver's master is pg's pool, which tells its size, who waits, who is idle, and what is given back", async () => {
      const { master } = dataSource.driver as unknown as {
        master: { Client: unknown; options: { max: number }; waitingCount: number; idleCount: number; on: unknown };
      };
      expect(master).toMatchObject({ options: { max: 3 }, waitingCount: 0, idleCount: expect.any(Number) });
      expect(typeof master.Client).toBe('function');
      const released: unknown[] = [];
      (master as unknown as NodeJS.EventEmitter).once('release', (_error: unknown, given: unknown) =>
        released.push(given),
      );
      const connection = await client();
      await queryRunner.release();
      expect(released).toEqual([connection]);
    });

    it("a driver's module of pg has the class of its queries, which a name makes prepared statements", async () => {
      type Callback = (error: Error | null, result: { rows: unknown[] }) => void;
      const { Query } = (
        dataSource.driver as unknown as {
          postgres: { Query: new (text: string, values: unknown[], callback: Callback) => { name?: string } };
        }
      ).postgres;
      const connection = await client();
      const run = (): Promise<unknown[]> =>
        new Promise((resolve, reject) => {
          const query = new Query('SELECT $1::int AS n', [1], (error, result) =>
            error ? reject(error) : resolve(result.rows),
          );
          query.name = 'named';
          connection.query(query as never);
        });
      expect(await run()).toEqual([{ n: 1 }]);
      const { rows } = await connection.query('SELECT statement FROM pg_prepared_statements WHERE name = $1', [
        'named',
      ]);
      expect(rows).toEqual([{ statement: 'SELECT $1::int AS n' }]);
    });

    it('a client tells the state of its transaction and the process of its server', async () => {
      const connection = await client();
      await connection.query('SELECT 1');
      await eventually(() => expect(connection.getTransactionStatus()).toBe('I'));
      await connection.query('BEGIN');
      await eventually(() => expect(connection.getTransactionStatus()).toBe('T'));
      await connection.query('ROLLBACK');
      const { rows } = await connection.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      expect(connection.processID).toBe(rows[0]?.pid);
      const { stream } = (connection as unknown as Client & { connection: { stream: { destroy: unknown } } })
        .connection;
      expect(typeof stream.destroy).toBe('function');
    });

    it('a query runner can close its connection instead of giving it back', async () => {
      const { processID } = await client();
      await (
        queryRunner as unknown as { releasePostgresConnection(error: Error): Promise<void> }
      ).releasePostgresConnection(new Error('not to be used again'));
      expect(queryRunner.isReleased).toBe(true);
      await eventually(async () => {
        const found = await dataSource.query<unknown[]>('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [processID]);
        expect(found).toEqual([]);
      });
    });
  });

  it('class-validator has its executor, which shows the promises of asynchronous rules', () => {
    expect(ValidationExecutor.prototype).toMatchObject({
      execute: expect.any(Function),
      stripEmptyErrors: expect.any(Function),
    });
  });

  it('class-transformer keeps what it is told of a class in four maps', () => {
    class Told {
      @Type(() => Date) @Transform(({ value }) => value as unknown) @Expose() @Exclude() at!: Date;
    }
    const { _typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas } =
      defaultMetadataStorage as unknown as Record<string, Map<unknown, unknown>>;
    for (const map of [_typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas])
      expect(map?.has(Told)).toBe(true);
  });

  it('Nest finds modules and filters where they are overridden', async () => {
    @Catch(RangeError)
    class Filter {
      catch(): void {}
    }
    class Host {
      @UseFilters(Filter)
      handle(): void {}
    }
    expect(Reflect.getMetadata(EXCEPTION_FILTERS_METADATA, Host.prototype.handle)).toEqual([Filter]);
    expect(Reflect.getMetadata(FILTER_CATCH_EXCEPTIONS, Filter)).toEqual([RangeError]);
    @Module({})
    class Empty {}
    const application = await NestFactory.createApplicationContext(Empty, { logger: false });
    const creator = application.get(ExternalContextCreator) as unknown as Record<string, unknown>;
    expect(typeof creator['getContextModuleKey']).toBe('function');
    await application.close();
  });

  it('a confirm channel of amqplib tells acks by tag, and refuses by name what comes after its end', async () => {
    const connection = await connect(rabbitmqUrl());
    const channel = await connection.createConfirmChannel();
    const acks: unknown[] = [];
    channel.on('ack', (confirm: unknown) => acks.push(confirm));
    channel.publish('', 'nobody.has.this.queue', Buffer.from(''));
    await eventually(() => expect(acks).toEqual([expect.objectContaining({ deliveryTag: 1, multiple: false })]));
    await channel.close();
    let refusal: unknown;
    try {
      channel.publish('', 'a', Buffer.from(''));
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ name: 'IllegalOperationError' });
    await connection.close();
  });

  it("golevelup's AmqpConnection has its manager and its addresses", () => {
    expect(Object.getOwnPropertyNames(AmqpConnection.prototype)).toEqual(
      expect.arrayContaining(['managedConnection', 'configuration']),
    );
  });
});
