import { Controller, type INestApplicationContext, Injectable, Module, Scope } from '@nestjs/common';
import {
  ApplicationConfig,
  DiscoveryModule,
  DiscoveryService,
  ExternalContextCreator,
  MetadataScanner,
  NestFactory,
} from '@nestjs/core';
import { Compensate } from '../../compensate/compensate.decorator';
import { CompensationRegistry } from '../../compensate/compensation-registry';
import type { EventContext } from '../../consume/event-context';
import { HandlerRegistry } from '../../consume/handler-registry';
import { ReliableEventHandler } from '../../consume/reliable-event-handler.decorator';
import { EventTypes } from '../../event/event-types';
import type { EventFailure } from '../../event/outcome';
import { resolveOptions } from '../../options/resolve-options';
import { ReliableEvent } from '../../event/reliable-event.decorator';
import { TransactionalEvent } from '../../record/transactional-event.decorator';
import type { EventRecorder } from '../../record/event-recorder';
import { Stores, type StoreSet } from '../../database/stores';
import { CompensationExplorer } from './compensation.explorer';
import { type DiscoveredMethod, discoverMethods } from './decorated-methods';
import { HandlerExplorer } from './handler.explorer';
import { RecordedEventsExplorer } from './recorded-events.explorer';

@ReliableEvent({ type: 'order.created' })
class OrderCreated {}

@ReliableEvent({ type: 'order.created', version: 2 })
class OrderCreatedToo {}

@ReliableEvent({ type: 'order.recorded' })
class OrderRecorded {}

abstract class Base {
  readonly calls: unknown[][] = [];

  @ReliableEventHandler(OrderCreated)
  async inherited(...args: unknown[]): Promise<void> {
    this.calls.push(args);
  }
}

@Injectable()
class Handlers extends Base {
  get explosive(): never {
    throw new Error('a getter must not be called');
  }

  @ReliableEventHandler(OrderCreatedToo, { prefetch: 3, backoff: { maxMs: 5000 } })
  async own(): Promise<void> {}

  @ReliableEventHandler(OrderCreated, { consumer: 'shop.audit', dataSource: 'archive' })
  @ReliableEventHandler(OrderCreatedToo, { consumer: 'shop.audit', dataSource: 'archive' })
  async several(): Promise<void> {}

  @Compensate(OrderCreated)
  async undo(...args: unknown[]): Promise<void> {
    this.calls.push(args);
  }

  @TransactionalEvent(OrderRecorded, () => null)
  async record(): Promise<void> {}

  plain(): void {}
}

@Injectable({ scope: Scope.TRANSIENT })
class Fleeting {
  @ReliableEventHandler(OrderCreated)
  async handle(): Promise<void> {}
}

@Injectable()
class Archivist {
  @ReliableEventHandler(OrderCreated, { consumer: 'shop.archive' })
  async first(): Promise<void> {}

  @ReliableEventHandler(OrderCreatedToo, { consumer: 'shop.archive', dataSource: 'archive' })
  async second(): Promise<void> {}
}

@Controller()
class OrdersController {
  @ReliableEventHandler(OrderRecorded)
  async handle(): Promise<void> {}
}

@Module({
  imports: [DiscoveryModule],
  providers: [
    Handlers,
    { provide: 'alias', useExisting: Handlers },
    { provide: 'value', useValue: 'text' },
    { provide: 'nothing', useValue: null },
    { provide: 'plain object', useValue: { method: () => undefined } },
    Fleeting,
    Archivist,
  ],
  controllers: [OrdersController],
})
class Root {}

describe('the explorers', () => {
  let context: INestApplicationContext;
  let methods: readonly DiscoveredMethod[];

  const set = (name: string): StoreSet => ({ name }) as StoreSet;
  const stores = new Stores([set('default'), set('archive')]);
  const options = resolveOptions({ service: 'shop', transport: 'memory' });
  const ofTest = (label: string): boolean => /^(Archivist|Handlers|Fleeting|OrdersController)#/.test(label);

  beforeAll(async () => {
    context = await NestFactory.createApplicationContext(Root, { logger: false });
    methods = discoverMethods(
      context.get(DiscoveryService),
      context.get(MetadataScanner, { strict: false }) ?? new MetadataScanner(),
    );
  });
  afterAll(() => context.close());

  it('find each method of providers and controllers once, inherited ones too', () => {
    const labels = methods.map(({ label }) => label).filter(ofTest);
    expect([...labels].sort()).toEqual([
      'Archivist#first',
      'Archivist#second',
      'Fleeting#handle',
      'Handlers#inherited',
      'Handlers#own',
      'Handlers#plain',
      'Handlers#record',
      'Handlers#several',
      'Handlers#undo',
      'OrdersController#handle',
    ]);
    expect(methods.find(({ label }) => label === 'Handlers#own')?.isStatic).toBe(true);
    expect(methods.find(({ label }) => label === 'Fleeting#handle')?.isStatic).toBe(false);
  });

  it('register handlers with their own options, completed by those of the module', async () => {
    const [registry, types] = [new HandlerRegistry(), new EventTypes()];
    const explorer = new HandlerExplorer(
      registry,
      types,
      stores,
      options,
      context.get(ExternalContextCreator),
      new ApplicationConfig(),
    );
    const problems = explorer.explore(methods.filter(({ label }) => label.startsWith('Handlers#')));
    expect(problems).toEqual([]);
    expect(registry.all().map(({ queue }) => queue)).toEqual(['shop.order.created', 'shop.audit.order.created']);

    const inherited = registry.find('shop', 'order.created')?.byVersion.get(1);
    expect(inherited).toMatchObject({
      consumer: 'shop',
      label: 'Handlers#inherited',
      prefetch: 10,
      timeoutMs: 30_000,
      maxAttempts: 10,
      backoff: options.consume.backoff,
    });
    expect(registry.find('shop', 'order.created')?.byVersion.get(2)).toMatchObject({
      label: 'Handlers#own',
      prefetch: 3,
      backoff: { initialMs: 1000, maxMs: 5000, jitter: 0.2 },
    });
    expect(registry.find('shop.audit', 'order.created')?.stores.name).toBe('archive');
    expect(registry.find('shop', 'order.created')?.stores.name).toBe('default');

    const [event, eventContext] = [new OrderCreated(), { eventId: '1' } as EventContext];
    await inherited?.invoke(event, eventContext);
    expect(context.get(Handlers).calls).toEqual([[event, eventContext]]);
    expect(types.all().map(({ type, version }) => `${type}@${version}`)).toEqual([
      'order.created@2',
      'order.created@1',
    ]);
  });

  it('name what is wrong by class and method', () => {
    const [registry, types] = [new HandlerRegistry(), new EventTypes()];
    const explorer = new HandlerExplorer(
      registry,
      types,
      stores,
      options,
      context.get(ExternalContextCreator),
      new ApplicationConfig(),
    );
    expect(explorer.explore(methods)).toEqual([
      expect.stringMatching(/^@ReliableEventHandler on Fleeting#handle: its class is request-scoped or transient/),
      '@ReliableEventHandler on Archivist#second: its DataSource is "archive", but Archivist#first handles order.created@1 from the ' +
        'same queue "shop.archive.order.created" in "default". Give all versions of a queue the same dataSource.',
    ]);
  });

  it('refuse shareCommits with what takes its place; false says what every handler does', () => {
    const explore = (shareCommits: boolean): readonly string[] => {
      class Sharing {
        @ReliableEventHandler(OrderRecorded, { consumer: 'shop.sharing', ...({ shareCommits } as object) })
        async handle(): Promise<void> {}
      }
      const [handled] = methods.filter(({ label }) => label === 'OrdersController#handle') as [DiscoveredMethod];
      const method = { ...handled, instance: new Sharing(), method: Sharing.prototype.handle };
      const contexts = context.get(ExternalContextCreator);
      const explorer = new HandlerExplorer(
        new HandlerRegistry(),
        new EventTypes(),
        stores,
        options,
        contexts,
        new ApplicationConfig(),
      );
      return explorer.explore([method]);
    };
    expect(explore(false)).toEqual([]);
    expect(explore(true)).toEqual([expect.stringContaining('batch: { size: 100 }')]);
  });

  it('register compensations, which are called on their instance', async () => {
    const [registry, types] = [new CompensationRegistry(), new EventTypes()];
    expect(new CompensationExplorer(registry, types).explore(methods)).toEqual([]);
    const handler = registry.find('order.created', 1);
    expect(handler?.label).toBe('Handlers#undo');
    const { calls } = context.get(Handlers);
    calls.length = 0;
    const [event, failure] = [new OrderCreated(), { eventId: '1' } as EventFailure];
    await handler?.invoke(event, failure, new AbortController());
    expect(calls).toEqual([[event, failure]]);
  });

  it('make recorded events known, and see who cannot record', () => {
    const types = new EventTypes();
    expect(new RecordedEventsExplorer(types, stores).explore(methods)).toEqual([]);
    expect(types.all().map(({ type }) => type)).toEqual(['order.recorded']);
    expect(new RecordedEventsExplorer(types, stores, {} as EventRecorder).explore(methods)).toEqual([
      expect.stringMatching(/^@TransactionalEvent on Handlers#record: its class has no EventRecorder/),
    ]);
  });
});
