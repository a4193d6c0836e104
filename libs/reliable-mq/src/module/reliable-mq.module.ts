import { Module, type DynamicModule, type Provider, type Type } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { TRANSPORT } from '../broker/transport';
import { CompensationRegistry } from '../compensate/compensation-registry';
import { RunCompensationsJob } from '../compensate/run-compensations.job';
import { ConsumerGroup } from '../consume/consumer-group';
import { HandlerRegistry } from '../consume/handler-registry';
import { RemovedHandlers } from '../consume/removed-handlers';
import { RetryFailedJob } from '../consume/retry-failed.job';
import { EventTypes } from '../event/event-types';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import { EventOperations } from '../operate/event-operations';
import { Lifecycle } from '../operate/lifecycle';
import { REHEARSALS, Rehearsals } from '../operate/rehearsals';
import { ReliableMqHealth } from '../operate/reliable-mq-health';
import { ReliableMqHooks } from '../operate/reliable-mq-hooks';
import { resolveOptions } from '../options/resolve-options';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { GiveUp } from '../publish/give-up';
import { PublisherGroup } from '../publish/publisher-group';
import { ReceiptIntake } from '../receipt/receipt-intake';
import { ReceiptListener } from '../receipt/receipt-listener';
import { EventRecorder } from '../record/event-recorder';
import { ChaseReceiptsJob } from '../repair/chase-receipts.job';
import { CompensationSchedule } from '../repair/compensation-schedule';
import { CompensationTask } from '../repair/compensation-task';
import { type Job, JOBS } from '../repair/job';
import { PruneInboxJob, PruneOutboxJob } from '../repair/prune.job';
import { PublishDueJob } from '../repair/publish-due.job';
import { UnknownTypes } from '../repair/unknown-types';
import { CommittedEvents } from '../transaction/committed-events';
import { TransactionContext } from '../transaction/transaction-context';
import { createTransport } from './create-transport';
import { ApplicationExplorer } from './explore/application.explorer';
import { CompensationExplorer } from './explore/compensation.explorer';
import { HandlerExplorer } from './explore/handler.explorer';
import { RecordedEventsExplorer } from './explore/recorded-events.explorer';
import { RepositoriesExplorer } from './explore/repositories.explorer';
import {
  ASYNC_OPTIONS_TYPE,
  ConfigurableModuleClass,
  EXTRAS_DEFAULTS,
  OPTIONS_TYPE,
  RELIABLE_MQ_OPTIONS,
  type ReliableMqModuleExtras,
} from './module-definition';
import { provideStores } from './provide-stores';
import { ReliableMqRuntime } from './runtime';

const PRODUCER_JOBS: readonly Type<Job>[] = [PublishDueJob, ChaseReceiptsJob, RunCompensationsJob, PruneOutboxJob];
const CONSUMER_JOBS: readonly Type<Job>[] = [RetryFailedJob, PruneInboxJob];

/** In the order of an event's way. */
const COMMON: readonly Provider[] = [
  { provide: RESOLVED_OPTIONS, useFactory: resolveOptions, inject: [RELIABLE_MQ_OPTIONS] },
  { provide: TRANSPORT, useFactory: createTransport, inject: [RESOLVED_OPTIONS] },
  {
    provide: HookRunner,
    useFactory: ({ hooks }: ResolvedOptions) => new HookRunner(hooks),
    inject: [RESOLVED_OPTIONS],
  },
  ReliableMqHooks,
  Wakeups,
  EventTypes,
  CommittedEvents,
  TransactionContext,
  HandlerRegistry,
  CompensationSchedule,
  CompensationTask,
  EventOperations,
  Lifecycle,
  ReliableMqHealth,
  RepositoriesExplorer,
  RecordedEventsExplorer,
  ApplicationExplorer,
  ReliableMqRuntime,
];

const PRODUCER: readonly Provider[] = [
  EventRecorder,
  GiveUp,
  PublisherGroup,
  ReceiptIntake,
  UnknownTypes,
  ReceiptListener,
  CompensationRegistry,
  CompensationExplorer,
  ...PRODUCER_JOBS,
];

const CONSUMER: readonly Provider[] = [
  ConsumerGroup,
  HandlerExplorer,
  RemovedHandlers,
  { provide: REHEARSALS, useClass: Rehearsals },
  ...CONSUMER_JOBS,
];

/** What applications inject, beside the EventRecorder. */
const EXPORTED = [CompensationTask, EventOperations, ReliableMqHealth, ReliableMqHooks];

/**
 * Import it once, in the root module, beside `TypeOrmModule.forRoot(…)`:
 * `ReliableMqModule.forRoot({ service: 'order', rabbitmq: { uri: 'amqp://…' } })`.
 */
@Module({})
export class ReliableMqModule extends ConfigurableModuleClass {
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return complete(super.forRoot(options), options);
  }

  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return complete(super.forRootAsync(options), options);
  }
}

function complete(definition: DynamicModule, extras: ReliableMqModuleExtras): DynamicModule {
  const {
    dataSources = EXTRAS_DEFAULTS.dataSources,
    producer = EXTRAS_DEFAULTS.producer,
    consumer = EXTRAS_DEFAULTS.consumer,
    isGlobal = EXTRAS_DEFAULTS.isGlobal,
  } = extras;
  const jobs = [...(producer ? PRODUCER_JOBS : []), ...(consumer ? CONSUMER_JOBS : [])];
  return {
    ...definition,
    global: isGlobal,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [
      ...(definition.providers ?? []),
      provideStores(dataSources),
      ...COMMON,
      ...(producer ? PRODUCER : []),
      ...(consumer ? CONSUMER : []),
      { provide: JOBS, useFactory: (...found: Job[]) => found, inject: jobs },
    ],
    exports: [...(definition.exports ?? []), ...EXPORTED, ...(producer ? [EventRecorder] : [])],
  };
}
