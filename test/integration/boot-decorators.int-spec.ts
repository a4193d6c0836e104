import { Injectable, Scope } from '@nestjs/common';
import {
  Compensate,
  InvalidSetupError,
  ReliableEvent,
  ReliableEventHandler,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import {
  MisspeltThing,
  NoEvent,
  SlowThing,
  ThingDone,
  ThingDoneToo,
  ThingDoneTwin,
  useStarts,
  WrongEvent,
} from './boot-harness';

describe('an application whose decorators contradict each other does not start, and names class and method', () => {
  const { failureOf } = useStarts();

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
      @TransactionalEvent(ThingDone, () => null, {
        dataSource: 'other',
        isolation: 'bogus' as never,
        retryOnDeadlock: -1,
      })
      async one(): Promise<void> {}

      @TransactionalEvent(ThingDone, () => null, { isolaton: 'SERIALIZABLE', headers: { a: 1 } } as never)
      async misspelt(): Promise<void> {}

      @TransactionalEvent(ThingDone, () => null, {
        dataSource: 'default',
        isolation: 'SERIALIZABLE',
        retryOnDeadlock: 3,
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
      '@TransactionalEvent on Recorder#one: retryOnDeadlock must be a whole number from 0 to 100, got -1.',
      "@TransactionalEvent on Recorder#misspelt: headers must be a function of the method's arguments, got an object.",
      '@TransactionalEvent on Recorder#misspelt: Unknown option "isolaton"; did you mean "isolation"?',
      '@TransactionalEvent on Recorder#twice: dataSource "elsewhere" is not one of the module\'s ("default").',
      '@TransactionalEvent on Fleeting#run: dataSource "other" is not one of the module\'s ("default").',
    ];
    const error = await failureOf([Recorder, Fleeting]);
    expect(error).toBeInstanceOf(InvalidSetupError);
    expect(error.problems).toEqual(problems);
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
