import type { Type } from '@nestjs/common';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { MemoryBroker } from '../broker/memory/memory-broker';
import { MemoryTransport } from '../broker/memory/memory-transport';
import { TRANSPORT } from '../broker/transport';
import { RunCompensationsJob } from '../compensate/run-compensations.job';
import { ConsumerGroup } from '../consume/consumer-group';
import { RetryFailedJob } from '../consume/retry-failed.job';
import { createStoreSet, Stores } from '../database/stores';
import { HookRunner } from '../event/hook-runner';
import { createLog } from '../log/log';
import { EventOperations } from '../operate/event-operations';
import { ReliableMqHealth } from '../operate/reliable-mq-health';
import { ReliableMqHooks } from '../operate/reliable-mq-hooks';
import { PublisherGroup } from '../publish/publisher-group';
import { ReceiptListener } from '../receipt/receipt-listener';
import { EventRecorder } from '../record/event-recorder';
import { CompensationTask } from '../repair/compensation-task';
import { type Job, JOBS } from '../repair/job';
import type { ReliableMqModuleExtras } from './module-definition';
import { ReliableMqModule } from './reliable-mq.module';
import { ReliableMqRuntime } from './runtime';

const COMMON = [CompensationTask, EventOperations, ReliableMqHealth, ReliableMqHooks, ReliableMqRuntime];
const PRODUCER: Type[] = [EventRecorder, PublisherGroup, ReceiptListener, RunCompensationsJob];
const CONSUMER: Type[] = [ConsumerGroup, RetryFailedJob];

describe('the providers of ReliableMqModule', () => {
  // Never initialized: nothing here asks a database.
  const dataSource = new DataSource({ type: 'postgres' });
  const stores = new Stores([createStoreSet('default', dataSource)]);

  function module(extras: ReliableMqModuleExtras = {}): TestingModuleBuilder {
    const reliableMq = ReliableMqModule.forRoot({ service: 'shop', transport: 'memory', ...extras });
    return Test.createTestingModule({ imports: [reliableMq] })
      .overrideProvider(Stores)
      .useValue(stores);
  }

  it.each<[string, ReliableMqModuleExtras, Type[], Type[]]>([
    ['both halves', {}, [...PRODUCER, ...CONSUMER], []],
    ['the producer half', { consumer: false }, PRODUCER, CONSUMER],
    ['the consumer half', { producer: false }, CONSUMER, PRODUCER],
    ['no half', { producer: false, consumer: false }, [], [...PRODUCER, ...CONSUMER]],
  ])('are those of %s', async (_which, extras, present, absent) => {
    const app = await module(extras).compile();
    for (const token of [...COMMON, ...present])
      expect(app.get<unknown>(token, { strict: false })).toBeInstanceOf(token);
    for (const token of absent) expect(() => app.get<unknown>(token, { strict: false })).toThrow();
    const jobs = app.get<readonly Job[]>(JOBS, { strict: false }).map(({ name }) => name);
    expect(jobs.includes('publish')).toBe(present.includes(PublisherGroup));
    expect(jobs.includes('retry')).toBe(present.includes(ConsumerGroup));
  });

  it('can each be replaced by a test: the transport, the hooks, the stores', async () => {
    const transport = new MemoryTransport(new MemoryBroker(), createLog());
    const told: string[] = [];
    const hooks = new HookRunner([{ consumed: ({ eventId }) => void told.push(eventId) }]);
    const app = await module()
      .overrideProvider(TRANSPORT)
      .useValue(transport)
      .overrideProvider(HookRunner)
      .useValue(hooks)
      .compile();
    expect(app.get(TRANSPORT, { strict: false })).toBe(transport);
    expect(app.get(Stores, { strict: false })).toBe(stores);
    const remove = app.get(ReliableMqHooks).add({ consumed: ({ eventId }) => void told.push(`added ${eventId}`) });
    hooks.run('consumed', { eventId: 'a' });
    remove();
    hooks.run('consumed', { eventId: 'b' });
    expect(told).toEqual(['a', 'added a', 'b']);
  });

  it('say what is wrong with hooks that are added', async () => {
    const app = await module().compile();
    const add = (hooks: unknown) => () => app.get(ReliableMqHooks).add(hooks as object);
    expect(add({ handeld: () => undefined })).toThrow('did you mean "ReliableMqHooks.add: hooks.handled"?');
    expect(add({ handled: 7 })).toThrow('ReliableMqHooks.add: hooks.handled must be a function, got 7.');
  });
});
