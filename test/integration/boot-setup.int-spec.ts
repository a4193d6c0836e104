import { type DynamicModule, Global, Injectable, Module, type Provider, Scope, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getDataSourceToken } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import {
  Compensate,
  InvalidOptionsError,
  InvalidSetupError,
  MemoryBroker,
  ReliableEvent,
  ReliableEventHandler,
  ReliableMqModule,
  type ReliableMqModuleExtras,
  type ReliableMqOptions,
  TransactionalEvent,
  UnsupportedDatabaseError,
} from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { type ReliableAppOptions, startReliableApp } from '../support/reliable-app';

@ReliableEvent({ type: 'thing.done' })
class ThingDone {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'thing.done' })
class ThingDoneTwin {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'thing.done', version: 2 })
class ThingDoneToo {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'wrong type', version: 0, consumers: ['a', 'a'] })
class WrongEvent {}

@ReliableEvent({ type: 'misspelt.thing', consumer: 'audit', confrim: false, consumers: 'audit' } as never)
class MisspeltThing {}

@ReliableEvent({ type: 'slow.thing', giveUp: { maxAttempts: 1000 } })
class SlowThing {}

class NoEvent {
  text!: string;
}

describe('an application that is set up wrongly does not start', () => {
  let database: TestDatabase;
  const dataSources: DataSource[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  // Nest leaves a DataSource open when the start fails.
  afterEach(async () => {
    for (const dataSource of dataSources.splice(0)) if (dataSource.isInitialized) await dataSource.destroy();
  });
  afterAll(() => database.drop());

  async function failureOf(
    providers: readonly Provider[],
    reliableMq: Partial<ReliableMqOptions> & ReliableMqModuleExtras = {},
    more: Partial<ReliableAppOptions> = {},
  ): Promise<Error & { readonly problems?: readonly string[] }> {
    try {
      const app = await startReliableApp({
        url: database.url,
        providers,
        reliableMq: { service: 'shop', transport: new MemoryBroker(), ...reliableMq },
        onDataSource: (dataSource) => {
          dataSources.push(dataSource);
          return dataSource;
        },
        ...more,
      });
      await app.close();
    } catch (error) {
      return error as Error;
    }
    throw new Error('it started');
  }

  /** An application without TypeOrmModule. */
  async function failureWithout(
    options: ReliableMqOptions & ReliableMqModuleExtras,
    imports: readonly (Type | DynamicModule)[] = [],
  ): Promise<Error> {
    @Module({ imports: [...imports, ReliableMqModule.forRoot(options)] })
    class Root {}
    try {
      const context = await NestFactory.createApplicationContext(Root, { logger: false, abortOnError: false });
      await context.close();
    } catch (error) {
      return error as Error;
    }
    throw new Error('it started');
  }

  it('with wrong options: one error lists them all', async () => {
    const error = await failureOf([], { service: '', publish: { leaseMs: 1 }, consume: { prefech: 1 } as never });
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect(error.problems).toEqual([
      expect.stringMatching(/^service /) as string,
      expect.stringMatching(/^publish\.leaseMs /) as string,
      expect.stringMatching(/^Unknown option "consume\.prefech"; did you mean "consume\.prefetch"\?/) as string,
    ]);
    expect(error.message).toContain('its options have 3 problem(s)');
  });

  describe('without its DataSource', () => {
    it('which TypeOrmModule provides', async () => {
      const error = await failureWithout({ service: 'shop', transport: 'memory' });
      expect(error).toBeInstanceOf(InvalidSetupError);
      expect(error.message).toContain(
        'There is no TypeORM DataSource. Install @nestjs/typeorm and import TypeOrmModule.forRoot(',
      );
    });

    it('of the name that the module was given: each missing one is named', async () => {
      const error = await failureOf([], { dataSources: ['default', 'archive', 'audit'] });
      expect(error).toBeInstanceOf(InvalidSetupError);
      expect(error.problems).toEqual([
        expect.stringContaining('no TypeORM DataSource named "archive"') as string,
        expect.stringContaining('no TypeORM DataSource named "audit"') as string,
      ]);
    });

    it('because it was given none, or one twice', async () => {
      expect((await failureOf([], { dataSources: [] })).message).toContain('at least one DataSource');
      expect((await failureOf([], { dataSources: ['default', 'default'] })).message).toContain(
        'dataSources names "default" twice',
      );
    });

    it('in a supported database', async () => {
      @Global()
      @Module({
        providers: [{ provide: getDataSourceToken(), useValue: { options: { type: 'sqljs' } } }],
        exports: [getDataSourceToken()],
      })
      class Connections {}
      const error = await failureWithout({ service: 'shop', transport: 'memory' }, [Connections]);
      expect(error).toBeInstanceOf(UnsupportedDatabaseError);
      expect(error).toMatchObject({
        code: 'UNSUPPORTED_DATABASE',
        details: { driver: 'sqljs', dataSource: 'default' },
      });
    });
  });

  describe('with decorators that contradict each other: each is named by class and method', () => {
    it('all in one error', async () => {
      @Injectable()
      class First {
        @ReliableEventHandler(ThingDone)
        async one(): Promise<void> {}

        @ReliableEventHandler(NoEvent)
        async undecorated(): Promise<void> {}

        @Compensate(NoEvent)
        async undo(): Promise<void> {}
      }
      @Injectable()
      class Second {
        @ReliableEventHandler(ThingDone)
        async other(): Promise<void> {}

        @ReliableEventHandler(ThingDoneTwin, { consumer: 'shop.twin' })
        async twin(): Promise<void> {}

        @ReliableEventHandler(WrongEvent, { consumer: 'shop.wrong' })
        async wrong(): Promise<void> {}
      }
      @Injectable({ scope: Scope.REQUEST })
      class Fleeting {
        @ReliableEventHandler(ThingDone, { consumer: 'shop.fleeting' })
        async handle(): Promise<void> {}

        @Compensate(ThingDone)
        async undo(): Promise<void> {}
      }
      const error = await failureOf([First, Second, Fleeting]);
      expect(error).toBeInstanceOf(InvalidSetupError);
      const { problems = [] } = error;
      for (const expected of [
        /^@ReliableEventHandler on First#undecorated: NoEvent is not decorated with @ReliableEvent/,
        /^@Compensate on First#undo: NoEvent is not decorated with @ReliableEvent/,
        /^@ReliableEventHandler on Second#other: consumer "shop" has a handler for thing\.done@1 already, First#one\. Name the second one: @ReliableEventHandler\(ThingDone, \{ consumer: 'shop\.…' \}\)/,
        /^Classes ThingDone and ThingDoneTwin are both the event thing\.done@1/,
        /^@ReliableEvent on WrongEvent: type "wrong type"/,
        /^@ReliableEvent on WrongEvent: version 0/,
        /^@ReliableEvent on WrongEvent: consumers names one consumer twice/,
        /^@ReliableEventHandler on Fleeting#handle: its class is request-scoped or transient/,
        /^@Compensate on Fleeting#undo: its class is request-scoped or transient/,
      ]) {
        expect(problems).toContainEqual(expect.stringMatching(expected));
      }
      expect(problems).toHaveLength(9);
      for (const problem of problems) expect(error.message).toContain(problem);
    });

    it('and events whose options are none', async () => {
      @Injectable()
      class Recorder {
        @TransactionalEvent(MisspeltThing, () => null)
        async run(): Promise<void> {}
      }
      expect((await failureOf([Recorder])).problems).toEqual([
        `@ReliableEvent on MisspeltThing: consumers must be an array of names, got "audit": write consumers: ['audit'].`,
        '@ReliableEvent on MisspeltThing: Unknown option "consumer"; did you mean "consumers"?',
        '@ReliableEvent on MisspeltThing: Unknown option "confrim"; did you mean "confirm"?',
      ]);
    });

    it('also two classes of one type among those that are only recorded', async () => {
      @Injectable()
      class Recorder {
        @TransactionalEvent(ThingDone, () => null)
        async one(): Promise<void> {}

        @TransactionalEvent(ThingDoneTwin, () => null)
        async twin(): Promise<void> {}
      }
      expect((await failureOf([Recorder])).message).toContain(
        'Classes ThingDone and ThingDoneTwin are both the event thing.done@1',
      );
    });

    it('and two compensation handlers of one event', async () => {
      @Injectable()
      class Undoers {
        @Compensate(ThingDone)
        async one(): Promise<void> {}

        @Compensate(ThingDoneToo)
        async ofAnotherVersion(): Promise<void> {}

        @Compensate(ThingDone)
        async two(): Promise<void> {}
      }
      expect((await failureOf([Undoers])).problems).toEqual([
        '@Compensate on Undoers#two: thing.done@1 has a compensation handler already, Undoers#one. There can be one.',
      ]);
    });

    it('and handlers whose options cannot work', async () => {
      @Injectable()
      class Handlers {
        @ReliableEventHandler(ThingDone, {
          consumer: 'no spaces',
          prefetch: 0,
          timeoutMs: 1.5,
          maxAttempts: -1,
          dataSource: 'nowhere',
          backoff: { initialMs: 10, maxMs: 5, jitter: 7 },
        })
        async one(): Promise<void> {}

        @ReliableEventHandler(ThingDoneToo, { prefech: 1, backoff: { max: 1 } } as never)
        async misspelt(): Promise<void> {}
      }
      const { problems } = await failureOf([Handlers]);
      const on = (method: string, problem: string): unknown =>
        expect.stringContaining(`@ReliableEventHandler on Handlers#${method}: ${problem}`);
      expect(problems).toEqual([
        on('one', 'consumer must be a name of letters'),
        on('one', `dataSource "nowhere" is not one of the module's ("default")`),
        on('one', 'prefetch must be a whole number from 1 to 65535, got 0.'),
        on('one', 'timeoutMs must be a whole number from 100 to'),
        on('one', 'maxAttempts must be a whole number from 1 to 10000, got -1.'),
        on('one', 'backoff.jitter must be a number from 0 to 1, got 7.'),
        on('one', 'backoff.maxMs (5) must not be below backoff.initialMs (10).'),
        on('misspelt', 'Unknown option "backoff.max"; did you mean "backoff.maxMs"?'),
        on('misspelt', 'Unknown option "prefech"; did you mean "prefetch"?'),
      ]);
    });

    it('and options of @TransactionalEvent that cannot work', async () => {
      @Injectable()
      class Recorder {
        @TransactionalEvent(ThingDone, () => null, { dataSource: 'other', isolation: 'bogus' as never })
        async one(): Promise<void> {}

        @TransactionalEvent(ThingDone, () => null, { isolaton: 'SERIALIZABLE', headers: { a: 1 } } as never)
        async misspelt(): Promise<void> {}

        @TransactionalEvent(ThingDone, () => null, {
          dataSource: 'default',
          isolation: 'SERIALIZABLE',
          headers: () => ({}),
        })
        @TransactionalEvent(ThingDoneToo, () => null, { dataSource: 'elsewhere' })
        async twice(): Promise<void> {}
      }
      @Injectable({ scope: Scope.REQUEST })
      class Fleeting {
        @TransactionalEvent(ThingDone, () => null, { dataSource: 'other' })
        async run(): Promise<void> {}
      }
      const problems = [
        '@TransactionalEvent on Recorder#one: dataSource "other" is not one of the module\'s ("default").',
        '@TransactionalEvent on Recorder#one: isolation must be one of "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", ' +
          '"SERIALIZABLE", got "bogus".',
        "@TransactionalEvent on Recorder#misspelt: headers must be a function of the method's arguments, got an object.",
        '@TransactionalEvent on Recorder#misspelt: Unknown option "isolaton"; did you mean "isolation"?',
        '@TransactionalEvent on Recorder#twice: dataSource "elsewhere" is not one of the module\'s ("default").',
        '@TransactionalEvent on Fleeting#run: dataSource "other" is not one of the module\'s ("default").',
      ];
      const error = await failureOf([Recorder, Fleeting]);
      expect(error).toBeInstanceOf(InvalidSetupError);
      expect(error.problems).toEqual(problems);
    });

    it('and static methods, which no instance has', async () => {
      abstract class Base {
        @Compensate(ThingDone)
        static async undo(): Promise<void> {}
      }
      @Injectable()
      class Handlers extends Base {
        static get explosive(): never {
          throw new Error('a getter must not be called');
        }

        @ReliableEventHandler(ThingDone)
        static async handle(): Promise<void> {}
      }
      const why = 'it is a static method, but events are given to the instance that Nest creates. Take "static" away.';
      expect((await failureOf([Handlers])).problems).toEqual([
        `@ReliableEventHandler on Handlers#handle: ${why}`,
        `@Compensate on Handlers#undo: ${why}`,
      ]);
    });

    it('and generators, of which nothing would run', async () => {
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as somebody writes it who goes round the types
      const untyped = (decorate: unknown): any => decorate;
      @Injectable()
      class Generators {
        @untyped(ReliableEventHandler(ThingDone))
        async *handle(): AsyncGenerator {
          yield 1;
        }
        @untyped(Compensate(ThingDone))
        *undo(): Generator {
          yield 1;
        }
      }
      const why = 'it is a generator, and calling one runs nothing of it. Make it an async method';
      expect((await failureOf([Generators])).problems).toEqual([
        expect.stringContaining(`@ReliableEventHandler on Generators#handle: ${why}`),
        expect.stringContaining(`@Compensate on Generators#undo: ${why}`),
      ]);
    });

    describe('and one method that is there twice', () => {
      @Injectable()
      class Shared {
        @ReliableEventHandler(ThingDone)
        async handle(): Promise<void> {}

        @Compensate(ThingDone)
        async undo(): Promise<void> {}
      }
      @Injectable()
      class Special extends Shared {}

      @Module({ providers: [Shared] })
      class Orders {}
      @Module({ providers: [Shared] })
      class Stock {}
      @Module({ providers: [Shared, { provide: 'again', useClass: Shared }] })
      class Alone {}
      @Module({ providers: [Special] })
      class Specials {}

      const once =
        'Provide it once, in one module that exports it, and import that module where it is needed; a second token can name ' +
        'it with useExisting.';
      it.each<[string, Type[], string, string]>([
        [
          'its class is provided in two modules',
          [Orders, Stock],
          'Shared',
          `Shared is provided twice, in Orders and in Stock. ${once}`,
        ],
        [
          'its class is provided twice in one',
          [Alone],
          'Shared',
          `Shared is provided twice, both times in Alone. ${once}`,
        ],
        [
          'a subclass that inherits it is provided too',
          [Orders, Specials],
          'Special',
          'Shared (in Orders) and Special (in Specials) are both provided, and it is one method, inherited. Provide one of ' +
            'them, in one module that exports it, or override the method in a subclass.',
        ],
      ])('because %s', async (_, imports, second, why) => {
        expect((await failureOf([], {}, { imports })).problems).toEqual([
          `@ReliableEventHandler on ${second}#handle: consumer "shop" has this handler for thing.done@1 already: ${why}`,
          `@Compensate on ${second}#undo: thing.done@1 has this compensation handler already: ${why}`,
        ]);
      });

      it('but not when both tokens name one instance, or the subclass has its own', async () => {
        @Injectable()
        class Own extends Shared {
          override async handle(): Promise<void> {}
          override async undo(): Promise<void> {}
        }
        const app = await startReliableApp({
          url: database.url,
          providers: [Shared, { provide: 'again', useExisting: Shared }, Own],
          reliableMq: { service: 'shop', transport: new MemoryBroker() },
        });
        await app.close();
      });
    });

    it('and events that can be retried for longer than the inbox remembers them', async () => {
      @Injectable()
      class Handlers {
        @ReliableEventHandler(ThingDone, { maxAttempts: 5000 })
        async patient(): Promise<void> {}

        @ReliableEventHandler(SlowThing)
        async slow(): Promise<void> {}

        @ReliableEventHandler(ThingDoneToo)
        async fine(): Promise<void> {}
      }
      expect((await failureOf([Handlers])).problems).toEqual([
        expect.stringMatching(
          /^@ReliableEventHandler on Handlers#patient: with its options and those of ThingDone, an event can be retried for \d+\.\d hours, but retention\.inboxHours is 336/,
        ) as string,
        expect.stringMatching(
          /^@ReliableEventHandler on Handlers#slow: with its options and those of SlowThing/,
        ) as string,
      ]);
    });

    it('and consumers whose queues would have one name', async () => {
      @ReliableEvent({ type: 'audit.thing.done', version: 2 })
      class AuditThingDone {}
      @Injectable()
      class Handlers {
        @ReliableEventHandler(AuditThingDone)
        async one(): Promise<void> {}

        @ReliableEventHandler(ThingDone, { consumer: 'shop.audit' })
        async two(): Promise<void> {}
      }
      expect((await failureOf([Handlers])).problems).toEqual([
        '@ReliableEventHandler on Handlers#two: consumer "shop.audit" would take thing.done in the queue "shop.audit.thing.done", ' +
          'in which consumer "shop" takes audit.thing.done. Name the consumer differently.',
      ]);
    });

    it('and classes with @TransactionalEvent that Nest has not created', async () => {
      class Factored {
        @TransactionalEvent(ThingDone, () => null)
        async run(): Promise<void> {}
      }
      const provider = { provide: Factored, useFactory: () => new Factored() };
      expect((await failureOf([provider])).problems).toEqual([
        expect.stringMatching(
          /^@TransactionalEvent on Factored#run: its class has no EventRecorder\. .*useFactory/,
        ) as string,
      ]);
    });
  });

  it('but versions of an event, and handlers with names of their own, go together', async () => {
    @Injectable()
    class Handlers {
      @ReliableEventHandler(ThingDone)
      async one(): Promise<void> {}

      @ReliableEventHandler(ThingDoneToo)
      async two(): Promise<void> {}

      @ReliableEventHandler(ThingDone, {
        consumer: 'shop.audit',
        prefetch: 1,
        timeoutMs: 1000,
        maxAttempts: 2,
        backoff: { maxMs: 10 },
      })
      async audit(): Promise<void> {}
    }
    const broker = new MemoryBroker();
    const app = await startReliableApp({
      url: database.url,
      providers: [Handlers],
      reliableMq: { service: 'shop', transport: broker },
    });
    expect(broker.queueNames()).toEqual(
      expect.arrayContaining(['shop.thing.done', 'shop.audit.thing.done', 'shop.receipts.quorum']),
    );
    await app.close();
  });
});
