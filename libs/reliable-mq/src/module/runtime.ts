import {
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { CompensationTask } from '../repair/compensation-task';
import { createJobs } from './create-jobs';
import { ConsumerGroup } from '../consume/consumer-group';
import { InvalidSetupError } from '../event/errors';
import type { JobName } from '../event/hooks';
import { exploreCompensations } from './explore/compensation.explorer';
import { discoverMethods } from './explore/decorated-methods';
import { exploreHandlers } from './explore/handler.explorer';
import { exploreRecordedEvents } from './explore/recorded-events.explorer';
import { exploreRepositories } from './explore/repositories.explorer';
import { learnAboutConnections } from '../database/postgres/learn-about-connections';
import { migrateSchema, verifySchema } from '../database/postgres/schema-migrator';
import type { ModuleShape } from './module-shape';
import type { RuntimeParts } from './runtime-parts';
import { warnOfSmallPool } from './runtime-pool-check';
import { GiveUp } from '../publish/give-up';
import { PublisherGroup } from '../publish/publisher-group';
import { ReceiptListener } from '../receipt/receipt-listener';
import { createLog } from '../log/log';

/** How often this process declares its queues and bindings again, in milliseconds: puts back what somebody has removed. */
const TOPOLOGY_REFRESH_MS = 15_000;
/** What the last writes of a stopping process may take even if its handlers have used up the time, in milliseconds. */
const LAST_WRITES_MS = 1000;

export type RuntimeState = 'starting' | 'running' | 'stopping' | 'stopped';

/**
 * Starts and stops everything, in the order of Nest's lifecycle:
 *
 *   onModuleInit               tables checked or created, decorators found and checked
 *   onApplicationBootstrap     transport connects (an absent broker is no error), queues are consumed, jobs run
 *   beforeApplicationShutdown  intake stops, what is in hand is finished or given back, within `shutdown.drainMs`
 *   onApplicationShutdown      the transport closes; @nestjs/typeorm destroys the DataSources in this phase too
 */
export class ReliableMqRuntime
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly logger = createLog();
  private readonly publishers: PublisherGroup | undefined;
  private readonly receipts: ReceiptListener | undefined;
  private readonly consumers: ConsumerGroup | undefined;
  private readonly task: CompensationTask;
  private readonly removeListeners: (() => void)[] = [];
  private topologyTimer: NodeJS.Timeout | undefined;
  private started: Promise<void> | undefined;
  private drained: Promise<void> | undefined;
  private phase: RuntimeState = 'starting';

  constructor(
    shape: ModuleShape,
    private readonly parts: RuntimeParts,
  ) {
    const { options, stores, gates, transactions, transport, handlers, hooks, scheduler, eventTypes } = parts;
    const giveUp = new GiveUp(options.publish, options.receipts.chaseAfterMs, eventTypes);
    const onDead = (): void => this.poke('compensate');
    if (shape.producer) {
      const onDueIn = (delayMs: number): void => this.task.pokeIn('publish', delayMs);
      this.publishers = new PublisherGroup(stores, options, transport, giveUp, hooks, { onDead, onDueIn });
      this.receipts = new ReceiptListener(options.service, stores, (set) => gates.of(set), transport, hooks, onDead);
    }
    if (shape.consumer) {
      this.consumers = new ConsumerGroup(options, handlers, transactions, gates, transport, hooks, (delayMs) =>
        this.task.pokeIn('retry', delayMs),
      );
    }
    const jobs = createJobs(parts, giveUp, this.publishers, this.consumers, (delayMs) =>
      this.task.pokeIn('compensate', delayMs),
    );
    this.task = new CompensationTask(jobs, options, scheduler, hooks);
  }

  state(): RuntimeState {
    return this.phase;
  }

  /** Run a job of the compensation task now. */
  poke(job: JobName): void {
    this.task.poke(job);
  }

  async onModuleInit(): Promise<void> {
    const { options, stores, transactions, discovery, scanner, contexts, eventTypes, handlers, compensations } =
      this.parts;
    exploreRepositories(discovery, transactions);
    const methods = discoverMethods(discovery, scanner);
    const problems = [
      ...this.otherImports(),
      ...exploreRecordedEvents(methods, eventTypes, stores, this.publishers !== undefined),
      ...(this.consumers ? exploreHandlers(methods, handlers, eventTypes, stores, options, contexts) : []),
      ...(this.publishers ? exploreCompensations(methods, compensations, eventTypes) : []),
    ];
    if (problems.length > 0) throw new InvalidSetupError([...new Set(problems)]);
    for (const { dataSource } of stores.all) {
      if (options.schema === 'migrate') await migrateSchema(dataSource);
      else await verifySchema(dataSource);
      await learnAboutConnections(dataSource);
    }
    for (const set of stores.all) warnOfSmallPool(set, handlers.all(), this.logger);
  }

  onApplicationBootstrap(): Promise<void> {
    return (this.started ??= this.start());
  }

  /** Once, for all who ask: whoever went on earlier would destroy the DataSources below the handlers that still run. */
  beforeApplicationShutdown(): Promise<void> {
    return (this.drained ??= this.drain());
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.phase === 'stopped') return;
    this.phase = 'stopped';
    await this.disconnect();
  }

  /** Each import of the module has a runtime, and each would find every handler, run it, and count its own attempts. */
  private otherImports(): readonly string[] {
    const services = this.parts.discovery
      .getProviders()
      .map(({ instance }: { readonly instance: unknown }) => instance)
      .filter((instance) => instance instanceof ReliableMqRuntime)
      .map(({ parts }) => `"${parts.options.service}"`);
    if (services.length < 2) return [];
    return [
      `ReliableMqModule is imported ${services.length === 2 ? 'twice' : `${services.length} times`} in one application ` +
        `(services ${services.join(' and ')}): import it once, in the root module.`,
    ];
  }

  private async drain(): Promise<void> {
    // A signal may come while the application still starts.
    await this.started?.catch(() => undefined);
    if (this.phase !== 'running') return;
    this.phase = 'stopping';
    const { drainMs } = this.parts.options.shutdown;
    const stopsAt = performance.now() + drainMs;
    const left = (): number => Math.max(stopsAt - performance.now(), LAST_WRITES_MS);
    clearInterval(this.topologyTimer);
    const taskStopped = this.task.stop(drainMs);
    await this.consumers?.drain(drainMs);
    // After the handlers: the events that they recorded are published still.
    await this.publishers?.stop(left());
    await this.receipts?.stop(left());
    this.parts.gates.stop();
    await taskStopped;
  }

  private async start(): Promise<void> {
    try {
      await this.connect();
    } catch (error) {
      // Nobody closes an application that did not start: what was opened would keep its process alive.
      this.phase = 'stopped';
      await this.disconnect();
      throw error;
    }
  }

  private async connect(): Promise<void> {
    const { transport, committed, hooks } = this.parts;
    this.removeListeners.push(
      transport.onStatus((status) => {
        hooks.run('transportChanged', status);
        if (status.available) this.resumeAfterOutage();
      }),
    );
    await transport.start();
    if (this.publishers) this.removeListeners.push(committed.onCommit(this.publishers.listener()));
    await this.receipts?.start();
    await this.consumers?.start();
    this.topologyTimer = setInterval(() => void transport.refreshTopology(), TOPOLOGY_REFRESH_MS);
    this.topologyTimer.unref();
    this.task.start();
    this.phase = 'running';
    this.logger.log('Started', this.summary());
  }

  private async disconnect(): Promise<void> {
    for (const remove of this.removeListeners.splice(0)) remove();
    await this.parts.transport.close();
  }

  /** What had to wait for the broker is done now, and not at the next interval. */
  private resumeAfterOutage(): void {
    this.poke('publish');
    this.poke('chase');
  }

  private summary(): Record<string, unknown> {
    const { options, stores, transport, handlers } = this.parts;
    return {
      service: options.service,
      transport: transport.kind,
      dataSources: stores.all.map(({ name }) => name),
      handlers: handlers
        .all()
        .flatMap(({ queue, byVersion }) => [...byVersion.values()].map(({ label }) => `${queue} → ${label}`)),
    };
  }
}
