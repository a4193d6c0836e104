import { type DynamicModule, Global, Injectable, type LoggerService, Module, type Type } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
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
import { Repository } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { TestApp, type TestAppOptions } from '../support/test-app';
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
  const apps: TestApp[] = [];
  /** Each application has tables of its own: they belong to its service. */
  let applications = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  beforeEach(() => {
    broker = new MemoryBroker();
  });
  afterEach(async () => {
    for (const app of apps.splice(0)) await app.close();
  });
  afterAll(() => database.drop());

  async function start(module: DynamicModule, more: TestAppOptions = {}): Promise<TestApp> {
    const app = await TestApp.start({
      database,
      broker,
      entities: [Note],
      providers: [Notes],
      module,
      ...more,
      dataSource: { entityPrefix: `app_${(applications += 1)}_`, ...more.dataSource },
    });
    apps.push(app);
    return app;
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
      expect(context.get(EventRecorder)).toBeInstanceOf(EventRecorder);
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
      expect(() => context.get(EventRecorder)).toThrow();
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
        start(ReliableMqModule.forRoot({ service: 'shop', transport: broker, producer: false }), {
          providers: [Needy],
        }),
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
      const module = ReliableMqModule.forRoot({ service: 'shop', transport: broker, isGlobal });
      return (await start(module, { providers: [], imports: [Feature] })).get(Reader);
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
    it('is refused, with both services', async () => {
      const second = ReliableMqModule.forRootAsync({ useFactory: () => ({ service: 'two', transport: broker }) });
      @Module({ imports: [second] })
      class Feature {}
      const booting = start(ReliableMqModule.forRoot({ service: 'one', transport: broker }), { imports: [Feature] });
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
      await start(shared, { imports: [Feature] });
      await start(ReliableMqModule.forRoot({ service: 'two', transport: broker }));
      expect(broker.queueNames()).toEqual(expect.arrayContaining(['one.note.written', 'two.note.written']));
    });
  });

  describe('tells at boot that a pool is too small for the handlers', () => {
    async function warningsOf(
      pool: { readonly poolSize?: number; readonly extra?: { readonly max: number } },
      reliableMq: DynamicModule,
      providers: Type[],
    ): Promise<unknown[][]> {
      const warnings: unknown[][] = [];
      const ignore = (): void => undefined;
      const logger: LoggerService = { log: ignore, error: ignore, warn: (...parts: unknown[]) => warnings.push(parts) };
      await start(reliableMq, { providers, logger, dataSource: { poolSize: undefined, ...pool } });
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

    it('with the runs of a batch handler, each of which takes many messages', async () => {
      @Injectable()
      class InBatches {
        @ReliableEventHandler(NoteWritten, { batch: { size: 100, waitMs: 5 }, prefetch: 200 })
        async handle(): Promise<void> {}
      }
      await expect(warningsOf({ poolSize: 7 }, shop(), [InBatches])).resolves.toEqual([]);
      await expect(warningsOf({ poolSize: 6 }, shop(), [InBatches])).resolves.toEqual([
        warning(6, 7, { 'shop.note.written': 2 }),
      ]);
    });

    it('and nothing when it is large enough, or nothing is handled', async () => {
      await expect(warningsOf({ poolSize: 15 }, shop(), [Notes])).resolves.toEqual([]);
      await expect(warningsOf({}, shop(), [])).resolves.toEqual([]);
      await expect(warningsOf({}, shop(false), [Notes])).resolves.toEqual([]);
    });
  });
});
