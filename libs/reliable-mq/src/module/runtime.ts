import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
  Optional,
} from '@nestjs/common';
import { DiscoveryService, LazyModuleLoader } from '@nestjs/core';
import { TRANSPORT, type Transport } from '../broker/transport';
import { ConsumerGroup } from '../consume/consumer-group';
import { HandlerRegistry } from '../consume/handler-registry';
import { RemovedHandlers } from '../consume/removed-handlers';
import { Stores } from '../database/stores';
import { InvalidSetupError } from '../event/errors';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import { createLog } from '../log/log';
import { Lifecycle } from '../operate/lifecycle';
import { REHEARSING } from '../operate/rehearsals';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { PublisherGroup } from '../publish/publisher-group';
import { ReceiptListener } from '../receipt/receipt-listener';
import { CompensationTask } from '../repair/compensation-task';
import { ApplicationExplorer } from './explore/application.explorer';
import { warnOfSmallPool, warnOfSmallStatements } from './warn-of-small-limits';
import { StopSummary } from './stop-summary';

/** How often this process looks at what others may have done to its queues, in milliseconds. */
const LOOK_AROUND_MS = 15_000;
/** What the last writes of a stopping process may take even if its handlers have used up the time, in milliseconds. */
const LAST_WRITES_MS = 1000;

/**
 * Starts and stops everything, in the order of Nest's lifecycle:
 *
 *   onModuleInit               tables checked or created, decorators found and checked
 *   onApplicationBootstrap     transport connects (an absent broker is no error), queues are consumed, jobs run
 *   beforeApplicationShutdown  intake stops, what is in hand is finished or given back, within `shutdown.drainMs`
 *   onApplicationShutdown      the transport closes; @nestjs/typeorm destroys the DataSources in this phase too
 */
@Injectable()
export class ReliableMqRuntime
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly logger = createLog();
  private removeStatusListener: (() => void) | undefined;
  private lookingAround: NodeJS.Timeout | undefined;
  private started: Promise<void> | undefined;
  private drained: Promise<void> | undefined;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly stores: Stores,
    @Inject(TRANSPORT) private readonly transport: Transport,
    private readonly hooks: HookRunner,
    private readonly wakeups: Wakeups,
    private readonly lifecycle: Lifecycle,
    private readonly discovery: DiscoveryService,
    private readonly lazyModules: LazyModuleLoader,
    private readonly explorer: ApplicationExplorer,
    private readonly handlers: HandlerRegistry,
    private readonly task: CompensationTask,
    @Optional() @Inject(PublisherGroup) private readonly publishers?: PublisherGroup,
    @Optional() @Inject(ReceiptListener) private readonly receipts?: ReceiptListener,
    @Optional() @Inject(ConsumerGroup) private readonly consumers?: ConsumerGroup,
    @Optional() @Inject(RemovedHandlers) private readonly removed?: RemovedHandlers,
    @Optional() @Inject(REHEARSING) private readonly isRehearsing = false,
  ) {}

  async onModuleInit(): Promise<void> {
    refuse([...this.otherImports(), ...this.explorer.explore()]);
    this.followLazyModules();
    if (this.isRehearsing) {
      for (const { database } of this.stores.all) await database.open('verify');
      return;
    }
    for (const { database } of this.stores.all) {
      await database.open(this.options.schema);
      if (this.publishers) await database.own('outbox', this.options.service);
      if (this.consumers) await database.own('inbox', this.options.service);
    }
    const parts = { records: this.publishers !== undefined, consumes: this.handlers.all().length > 0 };
    for (const set of this.stores.all) {
      warnOfSmallPool(set, this.handlers.all(), this.logger);
      warnOfSmallStatements(set, this.options, parts, this.logger);
    }
  }

  onApplicationBootstrap(): Promise<void> {
    if (this.isRehearsing) return Promise.resolve();
    return (this.started ??= this.start());
  }

  /** Once, for all who ask: whoever went on earlier would destroy the DataSources below the handlers that still run. */
  beforeApplicationShutdown(): Promise<void> {
    return (this.drained ??= this.drain());
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.lifecycle.phase === 'stopped') return;
    this.lifecycle.phase = 'stopped';
    await this.disconnect();
  }

  private async start(): Promise<void> {
    try {
      await this.connect();
    } catch (error) {
      // Nobody closes an application that did not start: what was opened would keep its process alive.
      this.lifecycle.phase = 'stopped';
      await this.disconnect();
      throw error;
    }
  }

  private async connect(): Promise<void> {
    this.removeStatusListener = this.transport.onStatus((status) => {
      this.hooks.run('transportChanged', status);
      if (status.available) this.resumeAfterOutage();
    });
    await this.transport.start();
    this.publishers?.start();
    await this.receipts?.start();
    await this.consumers?.start();
    await this.removed?.look();
    this.lookingAround = setInterval(() => this.lookAround(), LOOK_AROUND_MS);
    this.lookingAround.unref();
    this.task.start();
    this.lifecycle.phase = 'running';
    this.logger.log('Started', this.summary());
  }

  private async drain(): Promise<void> {
    // A signal may come while the application still starts.
    await this.started?.catch(() => undefined);
    if (this.lifecycle.phase !== 'running') return;
    this.lifecycle.phase = 'stopping';
    const { drainMs } = this.options.shutdown;
    const stopsAt = performance.now() + drainMs;
    const left = (): number => Math.max(stopsAt - performance.now(), LAST_WRITES_MS);
    clearInterval(this.lookingAround);
    const summary = new StopSummary(this.hooks);
    const taskStopped = this.task.stop(drainMs);
    const cutOff = (await this.consumers?.drain(drainMs)) ?? 0;
    // After the handlers: the events that they recorded are published still.
    await this.publishers?.stop(left());
    await this.receipts?.stop(left());
    for (const { gate } of this.stores.all) gate.stop();
    await taskStopped;
    this.logger.log('Stopped', summary.end(cutOff));
  }

  private async disconnect(): Promise<void> {
    this.removeStatusListener?.();
    this.publishers?.close();
    await this.transport.close();
  }

  /** Modules that are loaded later bring handlers and events too: `load` resolves when their queues are consumed. */
  private followLazyModules(): void {
    const load = this.lazyModules.load.bind(this.lazyModules);
    this.lazyModules.load = async (...args) => {
      const loaded = await load(...args);
      const consumed = new Map(this.handlers.all().map(({ queue, byVersion }) => [queue, byVersion.size]));
      refuse(this.explorer.explore());
      refuse(
        this.handlers
          .all()
          .filter(({ queue, byVersion }) => (consumed.get(queue) ?? byVersion.size) !== byVersion.size)
          .map(
            ({ queue }) => `Queue "${queue}" is consumed already: all versions of its handler must be loaded together.`,
          ),
      );
      if (this.lifecycle.phase === 'running') await this.consumers?.start();
      return loaded;
    };
  }

  /** Queues and bindings that somebody has removed are put back, and what waits for nobody is found. */
  private lookAround(): void {
    void this.transport.refreshTopology();
    void this.removed?.look();
  }

  /** What had to wait for the broker is done now, and not at the next run of the compensation task. */
  private resumeAfterOutage(): void {
    this.wakeups.wake('publish');
    this.wakeups.wake('chase');
  }

  /** Each import of the module has a runtime, and each would find every handler, run it, and count its own attempts. */
  private otherImports(): readonly string[] {
    const services = this.discovery
      .getProviders()
      .map(({ instance }: { readonly instance: unknown }) => instance)
      .filter((instance) => instance instanceof ReliableMqRuntime)
      .map(({ options }) => `"${options.service}"`);
    if (services.length < 2) return [];
    return [
      `ReliableMqModule is imported ${services.length === 2 ? 'twice' : `${services.length} times`} in one application ` +
        `(services ${services.join(' and ')}): import it once, in the root module.`,
    ];
  }

  private summary(): Record<string, unknown> {
    return {
      service: this.options.service,
      transport: this.transport.kind,
      dataSources: this.stores.all.map(({ name }) => name),
      handlers: this.handlers
        .all()
        .flatMap(({ queue, byVersion }) => [...byVersion.values()].map(({ label }) => `${queue} → ${label}`)),
    };
  }
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new InvalidSetupError([...new Set(problems)]);
}
