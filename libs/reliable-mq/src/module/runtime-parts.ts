import type { CommittedEvents } from '../transaction/committed-events';
import type { CompensationRegistry } from '../compensate/compensation-registry';
import type { DatabaseGates } from '../database/database-gate';
import type { DiscoveryService, ExternalContextCreator, MetadataScanner } from '@nestjs/core';
import type { EventTypes } from '../event/event-types';
import type { HandlerRegistry } from '../consume/handler-registry';
import type { HookRunner } from '../event/hook-runner';
import type { ResolvedOptions } from '../options/resolved-options';
import type { SchedulerRegistry } from '@nestjs/schedule';
import type { Stores } from '../database/stores';
import type { TransactionContext } from '../transaction/transaction-context';
import type { Transport } from '../broker/transport';

/** What the application's runtime is made of. */
export interface RuntimeParts {
  readonly options: ResolvedOptions;
  readonly stores: Stores;
  readonly gates: DatabaseGates;
  readonly transactions: TransactionContext;
  readonly committed: CommittedEvents;
  readonly transport: Transport;
  readonly eventTypes: EventTypes;
  readonly handlers: HandlerRegistry;
  readonly compensations: CompensationRegistry;
  readonly hooks: HookRunner;
  readonly discovery: DiscoveryService;
  readonly scanner: MetadataScanner;
  readonly contexts: ExternalContextCreator;
  readonly scheduler: SchedulerRegistry;
}
