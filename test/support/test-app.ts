import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ConsoleLogger,
  type DynamicModule,
  type INestApplication,
  type INestApplicationContext,
  Logger,
  type LoggerService,
  Module,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { type AbstractHttpAdapter, NestFactory } from '@nestjs/core';
import type { TestingModuleBuilder } from '@nestjs/testing';
import { getDataSourceToken, TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import {
  MemoryBroker,
  ReliableMqModule,
  type ReliableMqModuleExtras,
  type ReliableMqOptions,
} from 'nestjs-reliable-mq';
import { DataSource, type EntityTarget, type ObjectLiteral, type Repository } from 'typeorm';
import {
  createTestDatabase,
  type DatabaseName,
  type InboxRow,
  type OutboxRow,
  type RowFilter,
  type TestDatabase,
} from './database';
import { TestBroker } from './test-broker';

type LibraryOptions = ReliableMqOptions & ReliableMqModuleExtras;

export interface TestAppOptions {
  /**
   * Which database it gets for its own; or the one that it shares with others, whose maker drops it.
   * @default 'postgres'
   */
  readonly database?: DatabaseName | TestDatabase;
  /** Databases of further DataSources by name. */
  readonly more?: Readonly<Record<string, TestDatabase>>;
  /**
   * Which broker it gets for its own; or the one that it shares with others, whose maker disposes it. Without one, where
   * `reliableMq.rabbitmq` says which: that one.
   * @default 'memory'
   */
  readonly broker?: 'memory' | 'rabbitmq' | MemoryBroker | TestBroker;
  /** Options of the module; transport or connection come from the broker. `service` is `shop` where nothing is said. */
  readonly reliableMq?: Partial<LibraryOptions>;
  /** In the place of `ReliableMqModule.forRoot(…)` with those options. */
  readonly module?: DynamicModule;
  readonly entities?: readonly Type[];
  readonly providers?: readonly Provider[];
  readonly imports?: ModuleMetadata['imports'];
  /** With controllers, or an empty list where a module has them, it is an application that listens; `url` says where. */
  readonly controllers?: readonly Type[];
  /**
   * What it listens with.
   * @default Express
   */
  readonly http?: AbstractHttpAdapter | undefined;
  /** What is done with an application that listens, before it does. */
  readonly onApplication?: ((application: INestApplication) => void) | undefined;
  /**
   * Connections of a pool.
   * @default 12
   */
  readonly poolSize?: number;
  /** Over the options of the default DataSource: another way to the database, a schema, a prefix of the tables. `false`: there is none. */
  readonly dataSource?: Readonly<Record<string, unknown>> | false;
  /** What is done with the default DataSource between its creation and its initialization. */
  readonly onDataSource?: (dataSource: DataSource) => DataSource;
  /** Starts the application in the place of all that is said above but `database` and `broker`: it has a start of its own. */
  readonly boot?: (database: TestDatabase, broker: MemoryBroker) => Promise<INestApplicationContext>;
  /** Replaces providers, as a test of an application does it. */
  readonly override?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
  /** Gets what the application logs, instead of nobody. */
  readonly logger?: LoggerService;
}

/** Timings that keep a test short; they replace the defaults. */
export const QUICK: Pick<ReliableMqOptions, 'compensation' | 'consume' | 'publish'> = {
  compensation: { intervalMs: 200, backoff: { initialMs: 50, maxMs: 200, jitter: 0 } },
  consume: { backoff: { initialMs: 50, maxMs: 200, jitter: 0 } },
  publish: { backoff: { initialMs: 50, maxMs: 200, jitter: 0 } },
};

/** Those timings, and in each group the options of the test's own over them. */
export function quick(own: Partial<LibraryOptions> = {}): Partial<LibraryOptions> {
  return {
    ...own,
    compensation: { ...QUICK.compensation, ...own.compensation },
    consume: { ...QUICK.consume, ...own.consume },
    publish: { ...QUICK.publish, ...own.publish },
  };
}

/**
 * A Nest application with the library's module, started as any application starts it, on a database and a broker that `dispose`
 * throws away with it. Where several share them, one is started, and the others with `database` and `broker` of it.
 */
export class TestApp {
  private constructor(
    readonly context: INestApplicationContext | INestApplication,
    readonly database: TestDatabase,
    private readonly either: EitherBroker,
    private readonly owned: readonly (() => Promise<unknown>)[],
  ) {}

  /** @throws what the application throws when it does not start; nothing of it is left then */
  static async start(options: TestAppOptions = {}): Promise<TestApp> {
    const owned: (() => Promise<unknown>)[] = [];
    const dataSources: DataSource[] = [];
    const broker = brokerOf(options, owned);
    const database = await databaseOf(options, owned);
    try {
      const context = options.boot
        ? await options.boot(database, broker as MemoryBroker)
        : await boot(rootModule(options, database, broker, dataSources), options);
      return new TestApp(context, database, broker, owned);
    } catch (error) {
      // Nest leaves a DataSource open when the start fails.
      await Promise.all(dataSources.filter((each) => each.isInitialized).map((each) => each.destroy()));
      await Promise.all(owned.map((dispose) => dispose()));
      throw error;
    }
  }

  get dataSource(): DataSource {
    return this.context.get<DataSource>(getDataSourceToken());
  }

  get broker(): MemoryBroker {
    if (this.either instanceof MemoryBroker) return this.either;
    throw new Error('this application uses RabbitMQ: see its `rabbitmq`');
  }

  get rabbitmq(): TestBroker {
    if (this.either instanceof TestBroker) return this.either;
    throw new Error('this application uses the in-memory broker: see its `broker`');
  }

  /** Where an application with controllers listens. */
  get url(): string {
    const server = (this.context as INestApplication<Server>).getHttpServer();
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  get<T>(token: Type<T> | string | symbol): T {
    return this.context.get(token, { strict: false });
  }

  repository<T extends ObjectLiteral>(entity: EntityTarget<T>): Repository<T> {
    return this.dataSource.getRepository(entity);
  }

  /** Rows of one statement, on a connection that the application does not have. */
  query<Row = Record<string, unknown>>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return this.database.query<Row>(sql, parameters);
  }

  outbox(filter?: RowFilter): Promise<OutboxRow[]> {
    return this.database.outbox(filter);
  }

  inbox(filter?: RowFilter): Promise<InboxRow[]> {
    return this.database.inbox(filter);
  }

  /** Ends the application, and nothing else: another one may go on where it stopped. */
  close(): Promise<void> {
    return this.context.close();
  }

  /** Ends the application, and throws away what was made for it. */
  async dispose(): Promise<void> {
    await this.close();
    for (const dispose of this.owned) await dispose();
  }
}

type EitherBroker = MemoryBroker | TestBroker | undefined;

function brokerOf(options: TestAppOptions, owned: (() => Promise<unknown>)[]): EitherBroker {
  const { broker = options.reliableMq?.rabbitmq ? undefined : 'memory' } = options;
  if (broker === 'memory') return new MemoryBroker();
  if (broker !== 'rabbitmq') return broker;
  const own = new TestBroker();
  owned.push(() => own.dispose());
  return own;
}

async function databaseOf(
  { database = 'postgres' }: TestAppOptions,
  owned: (() => Promise<unknown>)[],
): Promise<TestDatabase> {
  if (typeof database !== 'string') return database;
  const own = await createTestDatabase(database);
  owned.push(() => own.drop());
  return own;
}

function rootModule(
  options: TestAppOptions,
  database: TestDatabase,
  broker: EitherBroker,
  dataSources: DataSource[],
): Type {
  const { entities = [], imports = [], providers = [], controllers = [], more = {}, onDataSource } = options;
  const connections: Record<string, TestDatabase> = options.dataSource === false ? {} : { default: database, ...more };
  const dataSourceModules = Object.entries(connections).map(([name, { kind, url }]) =>
    TypeOrmModule.forRootAsync({
      name,
      useFactory: (): TypeOrmModuleOptions =>
        ({
          ...(name !== 'default' && { name }),
          type: kind,
          url,
          entities: [...entities],
          synchronize: true,
          retryAttempts: 0,
          poolSize: options.poolSize ?? 12,
          ...(name === 'default' && options.dataSource),
        }) as TypeOrmModuleOptions,
      dataSourceFactory: async (given) => {
        const created = new DataSource(given as ConstructorParameters<typeof DataSource>[0]);
        dataSources.push(created);
        return name === 'default' && onDataSource ? onDataSource(created) : created;
      },
    }),
  );
  const library = options.module ?? ReliableMqModule.forRoot(libraryOptions(options.reliableMq, broker));
  @Module({
    imports: [
      ...dataSourceModules,
      ...(entities.length > 0 ? [TypeOrmModule.forFeature([...entities])] : []),
      library,
      ...imports,
    ],
    providers: [...providers],
    controllers: [...controllers],
  })
  class Root {}
  return Root;
}

function libraryOptions(own: Partial<LibraryOptions> = {}, broker: EitherBroker): LibraryOptions {
  if (!broker) return { service: 'shop', ...own };
  if (broker instanceof MemoryBroker) return { service: 'shop', transport: broker, ...own };
  const rabbitmq = { uri: [...broker.urls], exchange: broker.exchange, ...own.rabbitmq };
  return { ...own, service: own.service ?? broker.service('shop'), rabbitmq };
}

async function boot(root: Type, options: TestAppOptions): Promise<INestApplicationContext> {
  const logger = options.logger ?? (process.env.TEST_LOGS ? new Logger() : false);
  if (options.override) {
    const { Test } = await import('@nestjs/testing');
    const testing = await options
      .override(Test.createTestingModule({ imports: [root] }))
      .setLogger(logger || new ConsoleLogger({ logLevels: [] }))
      .compile();
    return testing.init();
  }
  if (!options.controllers) return NestFactory.createApplicationContext(root, { logger, abortOnError: false });
  const settings = { logger, abortOnError: false } as const;
  const application = options.http
    ? await NestFactory.create(root, options.http, settings)
    : await NestFactory.create(root, settings);
  options.onApplication?.(application);
  await application.listen(0, '127.0.0.1');
  return application;
}
