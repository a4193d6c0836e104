import { type DynamicModule, Global, Injectable, type LoggerService, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import {
  EventOperations,
  EventRecorder,
  InvalidOptionsError,
  InvalidSetupError,
  MemoryBroker,
  ReliableEventHandler,
  ReliableMqHealth,
  ReliableMqModule,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { DataSource, Repository } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { Note, NoteWritten, noteWritten } from './record-harness';

const SETTINGS = Symbol('Settings');

@Injectable()
class Notes {
  readonly handled: string[] = [];

  constructor(@InjectRepository(Note) readonly notes: Repository<Note>) {}

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }))
  async write(text: string): Promise<void> {
    await this.notes.insert({ text });
  }

  @ReliableEventHandler(NoteWritten)
  async handle(event: NoteWritten): Promise<void> {
    this.handled.push(event.text);
  }
}

describe('ReliableMqModule', () => {
  let database: TestDatabase;
  let broker: MemoryBroker;
  const close: (() => Promise<void>)[] = [];
  /** Each application has tables of its own: they belong to its service. */
  let applications = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  beforeEach(() => {
    broker = new MemoryBroker();
  });
  afterEach(async () => {
    for (const each of close.splice(0)) await each();
  });
  afterAll(() => database.drop());

  const typeOrm = (pool: { poolSize?: number; extra?: { max: number } } = {}): DynamicModule =>
    TypeOrmModule.forRootAsync({
      useFactory: () => ({
        ...pool,
        entityPrefix: `app_${(applications += 1)}_`,
        type: 'postgres',
        url: database.url,
        entities: [Note],
        synchronize: true,
        retryAttempts: 0,
      }),
      dataSourceFactory: async (options) => {
        if (!options) throw new Error('no options');
        const dataSource = new DataSource(options);
        close.push(async () => {
          if (dataSource.isInitialized) await dataSource.destroy();
        });
        return dataSource;
      },
    });

  async function start(
    reliableMq: ReturnType<typeof ReliableMqModule.forRoot>,
    providers = [Notes],
  ): Promise<Awaited<ReturnType<typeof NestFactory.createApplicationContext>>> {
    @Module({ imports: [typeOrm(), TypeOrmModule.forFeature([Note]), reliableMq], providers })
    class Root {}
    const context = await NestFactory.createApplicationContext(Root, { logger: false, abortOnError: false });
    close.unshift(() => context.close());
    return context;
  }

  describe('forRootAsync', () => {
    it('takes its options from a factory with dependencies', async () => {
      @Global()
      @Module({
        providers: [{ provide: SETTINGS, useFactory: async () => ({ service: 'from-settings' }) }],
        exports: [SETTINGS],
      })
      class SettingsModule {}
      const context = await start(
        ReliableMqModule.forRootAsync({
          imports: [SettingsModule],
          inject: [SETTINGS],
          useFactory: async (settings: { service: string }) => ({ service: settings.service, transport: broker }),
        }),
      );
      await context.get(Notes).write('a');
      await eventually(() => expect(context.get(Notes).handled).toEqual(['a']));
      expect(broker.queueNames()).toContain('from-settings.note.written');
    });

    it('takes a class that makes the options', async () => {
      @Injectable()
      class Options {
        create(): Parameters<typeof ReliableMqModule.forRoot>[0] {
          return { service: 'from-class', transport: broker };
        }
      }
      await start(ReliableMqModule.forRootAsync({ useClass: Options }));
      expect(broker.queueNames()).toContain('from-class.note.written');
    });

    it('takes what shapes the module beside the factory', async () => {
      const context = await start(
        ReliableMqModule.forRootAsync({ consumer: false, useFactory: () => ({ service: 'shop', transport: broker }) }),
      );
      expect(context.get(EventRecorder, { strict: false })).toBeInstanceOf(EventRecorder);
      expect(broker.queueNames()).toEqual(['shop.receipts.quorum']);
    });

    it('fails as forRoot does', async () => {
      const options = { service: '' };
      await expect(start(ReliableMqModule.forRootAsync({ useFactory: () => options }))).rejects.toThrow(
        InvalidOptionsError,
      );
      await expect(start(ReliableMqModule.forRootAsync({ useFactory: () => undefined as never }))).rejects.toThrow(
        /service must be/,
      );
      const withExtra = { service: 'shop', transport: broker, producer: false };
      await expect(start(ReliableMqModule.forRootAsync({ useFactory: () => withExtra }))).rejects.toThrow(
        /write it beside useFactory/,
      );
    });
  });

  describe('without its producer half', () => {
    it('has no recorder, and says so when an event is recorded; it handles as before', async () => {
      const context = await start(ReliableMqModule.forRoot({ service: 'shop', transport: broker, producer: false }));
      expect(() => context.get(EventRecorder, { strict: false })).toThrow();
      await expect(context.get(Notes).write('a')).rejects.toThrow(InvalidSetupError);
      await expect(context.get(Notes).write('a')).rejects.toThrow(
        /import ReliableMqModule\.forRoot\(…\) with its producer half/i,
      );

      const payload = Buffer.from(JSON.stringify(noteWritten('from afar')));
      broker.publish(
        { routingKey: 'note.written' },
        { body: payload, properties: { messageId: 'id-1', type: 'note.written' } },
      );
      await eventually(() => expect(context.get(Notes).handled).toEqual(['from afar']));
      expect(broker.queueNames()).toEqual(expect.not.arrayContaining(['shop.receipts']));
    });

    it('refuses to start a class that needs the recorder', async () => {
      @Injectable()
      class Needy {
        constructor(readonly events: EventRecorder) {}
      }
      await expect(
        start(ReliableMqModule.forRoot({ service: 'shop', transport: broker, producer: false }), [Needy as never]),
      ).rejects.toThrow(/EventRecorder/);
    });
  });

  describe('without its consumer half', () => {
    it('handles nothing, and records as before', async () => {
      broker.declare({ name: 'elsewhere', kind: 'events', bindings: ['note.written'] });
      const context = await start(ReliableMqModule.forRoot({ service: 'shop', transport: broker, consumer: false }));
      await context.get(Notes).write('a');
      await eventually(() => expect(broker.messages('elsewhere')).toHaveLength(1));
      expect(broker.queueNames()).toEqual(expect.not.arrayContaining(['shop.note.written']));
      expect(context.get(Notes).handled).toEqual([]);
    });
  });

  it('gives its services to every module, or only to those that import it', async () => {
    @Injectable()
    class Reader {
      constructor(
        readonly events: EventRecorder,
        readonly operations: EventOperations,
        readonly health: ReliableMqHealth,
      ) {}
    }
    @Module({ providers: [Reader], exports: [Reader] })
    class Feature {}

    const boot = async (isGlobal: boolean | undefined): Promise<Reader> => {
      @Module({
        imports: [typeOrm(), ReliableMqModule.forRoot({ service: 'shop', transport: broker, isGlobal }), Feature],
      })
      class Root {}
      const context = await NestFactory.createApplicationContext(Root, { logger: false, abortOnError: false });
      close.unshift(() => context.close());
      return context.get(Reader, { strict: false });
    };
    await expect(boot(undefined)).resolves.toBeInstanceOf(Reader);
    await expect(boot(true)).resolves.toBeInstanceOf(Reader);
    await expect(boot(false)).rejects.toThrow(/can't resolve dependencies of the Reader/);
  });

  it('starts and stops twice in one process without leaving anything behind', async () => {
    for (const text of ['first', 'second']) {
      const context = await start(ReliableMqModule.forRoot({ service: 'shop', transport: broker }));
      await context.get(Notes).write(text);
      await eventually(() => expect(context.get(Notes).handled).toEqual([text]));
      await context.close();
    }
  });

  describe('imported twice in one application', () => {
    async function bootWith(...imports: (DynamicModule | Type)[]): Promise<void> {
      @Module({ imports: [typeOrm(), TypeOrmModule.forFeature([Note]), ...imports], providers: [Notes] })
      class Root {}
      const context = await NestFactory.createApplicationContext(Root, { logger: false, abortOnError: false });
      close.unshift(() => context.close());
    }

    it('is refused, with both services', async () => {
      const second = ReliableMqModule.forRootAsync({ useFactory: () => ({ service: 'two', transport: broker }) });
      @Module({ imports: [second] })
      class Feature {}
      const booting = bootWith(ReliableMqModule.forRoot({ service: 'one', transport: broker }), Feature);
      await expect(booting).rejects.toThrow(InvalidSetupError);
      await expect(booting).rejects.toThrow(
        'ReliableMqModule is imported twice in one application (services "one" and "two"): import it once, in the root module.',
      );
      expect(broker.queueNames()).toEqual([]);
    });

    it('is one when it is the same object, and others in the process are theirs', async () => {
      const shared = ReliableMqModule.forRoot({ service: 'one', transport: broker });
      @Module({ imports: [shared] })
      class Feature {}
      await bootWith(shared, Feature);
      await bootWith(ReliableMqModule.forRoot({ service: 'two', transport: broker }));
      expect(broker.queueNames()).toEqual(expect.arrayContaining(['one.note.written', 'two.note.written']));
    });
  });

  describe('tells at boot that a pool is too small for the handlers', () => {
    async function warningsOf(
      pool: Parameters<typeof typeOrm>[0],
      reliableMq: ReturnType<typeof ReliableMqModule.forRoot>,
      providers: Type[],
    ): Promise<unknown[][]> {
      const warnings: unknown[][] = [];
      const ignore = (): void => undefined;
      const logger: LoggerService = { log: ignore, error: ignore, warn: (...parts: unknown[]) => warnings.push(parts) };
      @Module({ imports: [typeOrm(pool), TypeOrmModule.forFeature([Note]), reliableMq], providers })
      class Root {}
      const context = await NestFactory.createApplicationContext(Root, { logger, abortOnError: false });
      close.unshift(() => context.close());
      return warnings;
    }

    @Injectable()
    class Greedy {
      @ReliableEventHandler(NoteWritten, { consumer: 'shop.audit', prefetch: 500 })
      async handle(): Promise<void> {}
    }

    const shop = (consumer = true): DynamicModule =>
      ReliableMqModule.forRoot({ service: 'shop', transport: broker, consumer });
    const warning = (poolSize: number, needed: number, handlersAtOnce: Record<string, number>): unknown[] => [
      'The connection pool is too small for the handlers: raise poolSize of the DataSource, or lower prefetch ' +
        JSON.stringify({ dataSource: 'default', poolSize, needed, handlersAtOnce }),
      'ReliableMq',
    ];

    it('as it is with the defaults of both', async () => {
      await expect(warningsOf({}, shop(), [Notes])).resolves.toEqual([warning(10, 15, { 'shop.note.written': 10 })]);
    });

    it('once, with the sum of all queues', async () => {
      await expect(warningsOf({ extra: { max: 20 } }, shop(), [Notes, Greedy])).resolves.toEqual([
        warning(20, 515, { 'shop.note.written': 10, 'shop.audit.note.written': 500 }),
      ]);
    });

    it('and nothing when it is large enough, or nothing is handled', async () => {
      await expect(warningsOf({ poolSize: 15 }, shop(), [Notes])).resolves.toEqual([]);
      await expect(warningsOf({}, shop(), [])).resolves.toEqual([]);
      await expect(warningsOf({}, shop(false), [Notes])).resolves.toEqual([]);
    });
  });
});
