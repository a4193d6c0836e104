import { Injectable, Module, type Type } from '@nestjs/common';
import { Compensate, ReliableEventHandler } from 'nestjs-reliable-mq';
import { ThingDone, useStarts } from './boot-harness';

describe('an application does not start, and names class and method, when a decorated method', () => {
  const { failureOf, start } = useStarts();

  it('is static, which no instance has', async () => {
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

  it('is a generator, of which nothing would run', async () => {
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

  describe('is there twice', () => {
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
      const app = await start({ providers: [Shared, { provide: 'again', useExisting: Shared }, Own] });
      await app.close();
    });
  });
});
