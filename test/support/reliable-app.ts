import {
  type DynamicModule,
  type INestApplicationContext,
  Logger,
  type LoggerService,
  Module,
  type Provider,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule, getDataSourceToken } from '@nestjs/typeorm';
import { ReliableMqModule, type ReliableMqModuleExtras, type ReliableMqOptions } from 'nestjs-reliable-mq';
import { DataSource, type EntityTarget, type ObjectLiteral, type Repository } from 'typeorm';

export interface ReliableAppOptions {
  /** Database of the default DataSource. */
  readonly url: string;
  /** Further DataSources by name. */
  readonly more?: Readonly<Record<string, string>>;
  readonly entities?: readonly Type[];
  readonly providers?: readonly Provider[];
  readonly imports?: readonly (DynamicModule | Type)[];
  readonly reliableMq: ReliableMqOptions & ReliableMqModuleExtras;
  /**
   * Connections of the pool.
   * @default 12
   */
  readonly poolSize?: number;
  /** Gets what the application logs, instead of nobody. */
  readonly logger?: LoggerService;
  /** What is done with the default DataSource between its creation and its initialization. */
  readonly onDataSource?: (dataSource: DataSource) => DataSource;
}

/** A Nest application with the module, started, without HTTP. Close it in `afterEach` or `afterAll`. */
export interface ReliableApp {
  readonly context: INestApplicationContext;
  readonly dataSource: DataSource;
  get<T>(token: Type<T> | string | symbol): T;
  repository<T extends ObjectLiteral>(entity: EntityTarget<T>): Repository<T>;
  /** Rows of one statement on the default DataSource. */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** Timings that keep a test short; they replace the defaults, and a test's own options replace them. */
export const QUICK: Partial<ReliableMqOptions> = {
  compensation: { intervalMs: 200, backoff: { initialMs: 50, maxMs: 200, jitter: 0 } },
  consume: { backoff: { initialMs: 50, maxMs: 200, jitter: 0 } },
  publish: { backoff: { initialMs: 50, maxMs: 200, jitter: 0 } },
};

export async function startReliableApp(options: ReliableAppOptions): Promise<ReliableApp> {
  const {
    url,
    more = {},
    entities = [],
    providers = [],
    imports = [],
    reliableMq,
    poolSize = 12,
    logger = process.env.TEST_LOGS ? new Logger() : false,
    onDataSource = (dataSource) => dataSource,
  } = options;
  const dataSourceOptions = {
    type: 'postgres' as const,
    entities: [...entities],
    synchronize: true,
    retryAttempts: 0,
    poolSize,
  };
  @Module({
    imports: [
      TypeOrmModule.forRootAsync({
        useFactory: () => ({ ...dataSourceOptions, url }),
        dataSourceFactory: async (given) => onDataSource(new DataSource(given ?? dataSourceOptions)),
      }),
      ...Object.entries(more).map(([name, moreUrl]) =>
        TypeOrmModule.forRoot({ ...dataSourceOptions, name, url: moreUrl }),
      ),
      ...(entities.length > 0 ? [TypeOrmModule.forFeature([...entities])] : []),
      ...imports,
      ReliableMqModule.forRoot(reliableMq),
    ],
    providers: [...providers],
  })
  class TestModule {}

  const context = await NestFactory.createApplicationContext(TestModule, {
    logger,
    abortOnError: false,
  });
  const dataSource = context.get<DataSource>(getDataSourceToken());
  return {
    context,
    dataSource,
    get: (token) => context.get(token, { strict: false }),
    repository: (entity) => dataSource.getRepository(entity),
    query: async <Row>(sql: string, parameters: readonly unknown[] = []) =>
      (await dataSource.query(sql, [...parameters])) as Row[],
    close: () => context.close(),
  };
}
