import { Injectable, Module, type OnModuleInit } from '@nestjs/common';
import {
  EventRecorder,
  MemoryBroker,
  RELIABLE_MQ_OPTIONS,
  ReliableEventHandler,
  ReliableMqHooks,
  ReliableMqModule,
} from 'nestjs-reliable-mq';
import { eventually } from '../support/eventually';
import { TestApp } from '../support/test-app';
import { FreeNote, note, remembering } from './outbox-harness';

/** Of a metrics module that somebody else wrote: it listens as long as it lives. */
@Injectable()
class Metrics implements OnModuleInit {
  recorded = 0;
  handled = 0;
  stop: () => void = () => undefined;

  constructor(private readonly hooks: ReliableMqHooks) {
    hooks.add({
      recorded: () => {
        this.recorded += 1;
        throw new Error('a metric that fails');
      },
    });
  }

  onModuleInit(): void {
    this.stop = this.hooks.add({ handled: () => void (this.handled += 1) });
  }
}

@Module({ providers: [Metrics], exports: [Metrics] })
class MetricsModule {}

@Injectable()
class Handlers {
  @ReliableEventHandler(FreeNote)
  async handle(): Promise<void> {}
}

describe('hooks', () => {
  it('are heard by the maps of the options and by whoever adds theirs, each as if it were alone', async () => {
    const [first, second] = [remembering('recorded', 'handled'), remembering('handled', 'acknowledged')];
    const options = { service: 'shop', transport: new MemoryBroker(), hooks: [first.hooks, second.hooks] };
    const app = await TestApp.start({
      module: ReliableMqModule.forRoot({ service: 'shop', rabbitmq: { uri: 'amqp://no-such-host' } }),
      imports: [MetricsModule],
      providers: [Handlers],
      override: (testing) => testing.overrideProvider(RELIABLE_MQ_OPTIONS).useValue(options),
    });
    try {
      const [events, metrics] = [app.get(EventRecorder), app.get(Metrics)];
      const record = (): Promise<unknown> => events.transaction(() => events.record(note(FreeNote)));

      await record();
      await eventually(() => expect(second.told('acknowledged')).toHaveLength(1));
      expect(first.told('recorded')).toHaveLength(1);
      expect(metrics).toMatchObject({ recorded: 1, handled: 1 });

      metrics.stop();
      const third = remembering('handled');
      app.get(ReliableMqHooks).add(third.hooks);
      await record();
      await eventually(() => expect(second.told('acknowledged')).toHaveLength(2));
      expect(metrics).toMatchObject({ recorded: 2, handled: 1 });
      expect([first.told('handled').length, third.told('handled').length]).toEqual([2, 1]);
    } finally {
      await app.dispose();
    }
  });
});
