import { type Provider } from '@nestjs/common';
import { DiscoveryService, ExternalContextCreator, MetadataScanner } from '@nestjs/core';
import { SchedulerRegistry } from '@nestjs/schedule';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CompensationRegistry } from '../compensate/compensation-registry';
import { EventOperations } from '../operate/event-operations';
import { HandlerRegistry } from '../consume/handler-registry';
import { DatabaseGates } from '../database/database-gate';
import { describeError, InvalidSetupError } from '../event/errors';
import { EventTypes } from '../event/event-types';
import { HookRunner } from '../event/hook-runner';
import { ReliableMqHealth } from '../operate/reliable-mq-health';
import { MODULE_OPTIONS_TOKEN } from './module-definition';
import type { ModuleShape } from './module-shape';
import { resolveOptions } from '../options/resolve-options';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { CommitTracker } from '../transaction/commit-tracker';
import { CommittedEvents } from '../transaction/committed-events';
import { EventRecorder } from '../record/event-recorder';
import { TransactionContext } from '../transaction/transaction-context';
import { ReliableMqRuntime } from './runtime';
import { createStoreSet, Stores } from '../database/stores';
import { createTransport } from './create-transport';
import { TRANSPORT, type Transport } from '../broker/transport';
import { createLog } from '../log/log';

/** The providers of the module, in the order of an event's way. */
export function createProviders(shape: ModuleShape): Provider[] {
  return [
    { provide: RESOLVED_OPTIONS, useFactory: resolveOptions, inject: [MODULE_OPTIONS_TOKEN] },
    {
      provide: HookRunner,
      useFactory: (options: ResolvedOptions) => {
        const logger = createLog();
        return new HookRunner(options.hooks, (hook, error) =>
          logger.error('A hook failed', { hook, error: describeError(error) }),
        );
      },
      inject: [RESOLVED_OPTIONS],
    },
    EventTypes,
    HandlerRegistry,
    CompensationRegistry,
    {
      provide: Stores,
      useFactory: (...dataSources: (DataSource | undefined)[]) => createStores(shape.dataSources, dataSources),
      inject: shape.dataSources.map((name) => ({ token: getDataSourceToken(name), optional: true })),
    },
    { provide: DatabaseGates, useFactory: (stores: Stores) => new DatabaseGates(stores.all), inject: [Stores] },
    {
      provide: CommittedEvents,
      useFactory: (stores: Stores, hooks: HookRunner) =>
        new CommittedEvents((dataSource) => stores.of(dataSource)?.outbox, hooks),
      inject: [Stores, HookRunner],
    },
    {
      provide: CommitTracker,
      useFactory: (committed: CommittedEvents, stores: Stores) => {
        const tracker = new CommitTracker((commit) => committed.handOver(commit));
        for (const { dataSource } of stores.all) tracker.attach(dataSource);
        return tracker;
      },
      inject: [CommittedEvents, Stores],
    },
    {
      provide: TransactionContext,
      useFactory: (commits: CommitTracker, stores: Stores) => {
        const context = new TransactionContext(commits);
        for (const { dataSource } of stores.all) context.attach(dataSource);
        return context;
      },
      inject: [CommitTracker, Stores],
    },
    ...(shape.producer
      ? [
          {
            provide: EventRecorder,
            useFactory: (
              stores: Stores,
              transactions: TransactionContext,
              commits: CommitTracker,
              options: ResolvedOptions,
              types: EventTypes,
              hooks: HookRunner,
            ) => new EventRecorder(stores, transactions, commits, options, types, hooks),
            inject: [Stores, TransactionContext, CommitTracker, RESOLVED_OPTIONS, EventTypes, HookRunner],
          },
        ]
      : []),
    { provide: TRANSPORT, useFactory: createTransport, inject: [RESOLVED_OPTIONS] },
    {
      provide: ReliableMqRuntime,
      useFactory: (
        options: ResolvedOptions,
        stores: Stores,
        gates: DatabaseGates,
        transactions: TransactionContext,
        committed: CommittedEvents,
        transport: Transport,
        eventTypes: EventTypes,
        handlers: HandlerRegistry,
        compensations: CompensationRegistry,
        hooks: HookRunner,
        discovery: DiscoveryService,
        scanner: MetadataScanner,
        contexts: ExternalContextCreator,
        scheduler: SchedulerRegistry | undefined,
      ) =>
        new ReliableMqRuntime(shape, {
          options,
          stores,
          gates,
          transactions,
          committed,
          transport,
          eventTypes,
          handlers,
          compensations,
          hooks,
          discovery,
          scanner,
          contexts,
          // The application's own, when it imports ScheduleModule; importing it here would register the application's jobs twice.
          scheduler: scheduler ?? new SchedulerRegistry(),
        }),
      inject: [
        RESOLVED_OPTIONS,
        Stores,
        DatabaseGates,
        TransactionContext,
        CommittedEvents,
        TRANSPORT,
        EventTypes,
        HandlerRegistry,
        CompensationRegistry,
        HookRunner,
        DiscoveryService,
        MetadataScanner,
        ExternalContextCreator,
        { token: SchedulerRegistry, optional: true },
      ],
    },
    {
      provide: EventOperations,
      useFactory: (stores: Stores, runtime: ReliableMqRuntime) =>
        new EventOperations(stores, (job) => runtime.poke(job)),
      inject: [Stores, ReliableMqRuntime],
    },
    {
      provide: ReliableMqHealth,
      useFactory: (stores: Stores, transport: Transport, runtime: ReliableMqRuntime) =>
        new ReliableMqHealth(stores, transport, () => runtime.state()),
      inject: [Stores, TRANSPORT, ReliableMqRuntime],
    },
  ];
}

function createStores(names: readonly string[], dataSources: readonly (DataSource | undefined)[]): Stores {
  const missing = names.filter((_, index) => !dataSources[index]);
  if (missing.length > 0) {
    throw new InvalidSetupError(
      missing.map((name) =>
        name === 'default'
          ? "There is no TypeORM DataSource. Install @nestjs/typeorm and import TypeOrmModule.forRoot({ type: 'postgres', url: '…' }) in the root module, before ReliableMqModule."
          : `There is no TypeORM DataSource named "${name}". Import TypeOrmModule.forRoot({ name: '${name}', type: 'postgres', … }), or take it out of dataSources.`,
      ),
    );
  }
  return new Stores(names.map((name, index) => createStoreSet(name, dataSources[index] as DataSource)));
}
