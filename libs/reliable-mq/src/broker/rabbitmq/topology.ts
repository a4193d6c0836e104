import type { Channel } from 'amqplib';
import type { Log } from '../../log/log';
import type { QueueSpec } from '../transport';
import type { BrokerConnection } from './broker-connection';
import {
  problemText,
  provideExchange,
  provideQueue,
  wantsSingleActiveConsumer,
  type DeclarationOptions,
} from './declaration';
import { closeChannel } from './self-healing-channel';

/**
 * Declares the exchange, the queues and their bindings, or only looks for them. Each run has a channel of its own: the broker answers
 * a declaration that it can't fulfil by closing the channel, which must not end a consumer. On the consuming connection, because a
 * blocked publishing connection is not read.
 */
export class Topology {
  private readonly specs = new Map<string, QueueSpec>();
  /** Names of queues that their operator has declared with a single active consumer. */
  private readonly singleActive = new Set<string>();
  private refreshing: Promise<void> | undefined;
  /** Why the refresh before failed: told once, for as long as it stays so. */
  private failures: ReadonlySet<string> = new Set();

  constructor(
    private readonly connection: BrokerConnection,
    private readonly options: DeclarationOptions,
    private readonly logger: Log,
  ) {}

  /** From now on `refresh` declares this queue too. */
  add(spec: QueueSpec): void {
    this.specs.set(spec.name, spec);
  }

  remove(spec: QueueSpec): void {
    if (this.specs.get(spec.name) === spec) this.specs.delete(spec.name);
  }

  /**
   * Provides one queue and what it needs.
   * @returns false for an `existing` queue that is not there
   * @throws InvalidSetupError when something exists with other properties, or is missing and must not be declared; amqplib's error
   *   when the broker could not be asked
   */
  async declare(spec: QueueSpec): Promise<boolean> {
    try {
      return await this.declareOnce(spec);
    } catch (error) {
      if (!wantsSingleActiveConsumer(error)) throw error;
      this.singleActive.add(spec.name);
      return this.declareOnce(spec);
    }
  }

  /**
   * Declares everything again, where it may. Calls during a run share it. Never rejects: what fails is logged, and tried at the next
   * call.
   */
  refresh(): Promise<void> {
    if (this.options.topology === 'verify') return Promise.resolve();
    return (this.refreshing ??= this.declareAll().finally(() => (this.refreshing = undefined)));
  }

  private async declareOnce(spec: QueueSpec): Promise<boolean> {
    let provided = false;
    await this.onOwnChannel(async (channel) => {
      await provideExchange(channel, this.options);
      provided = await this.provide(channel, spec);
    });
    return provided;
  }

  private provide(channel: Channel, spec: QueueSpec): Promise<boolean> {
    const singleActiveConsumer = this.options.singleActiveConsumer || this.singleActive.has(spec.name);
    return provideQueue(channel, spec, { ...this.options, singleActiveConsumer });
  }

  private async declareAll(): Promise<void> {
    if (!this.connection.model) return;
    const steps = [
      (channel: Channel) => provideExchange(channel, this.options),
      // One that is only consumed if it exists is not declared; and looking for it in vain would close the channel of the others.
      ...[...this.specs.values()]
        .filter((spec) => spec.kind !== 'existing')
        .map((spec) => (channel: Channel) => this.provide(channel, spec)),
    ];
    const failures = new Set<string>();
    // A failed step has closed its channel: the rest goes on with a new one, as long as there is a connection.
    while (steps.length > 0 && this.connection.model) {
      const left = steps.length;
      try {
        await this.onOwnChannel(async (channel) => {
          for (let step = steps.shift(); step; step = steps.shift()) await step(channel);
        });
      } catch (error) {
        const reason = problemText(error);
        if (!this.failures.has(reason)) this.logger.warn('RabbitMQ topology could not be refreshed', { reason });
        failures.add(reason);
      }
      // Not even a channel: the connection has ended, and is about to say so. Asking on would keep it from being heard for ever,
      // because rejections that come at once leave the event loop no turn.
      if (steps.length === left) return;
    }
    this.failures = failures;
  }

  private async onOwnChannel(work: (channel: Channel) => Promise<void>): Promise<void> {
    const model = this.connection.model;
    if (!model) throw new Error(this.connection.problem);
    const channel = await model.createChannel();
    channel.on('error', () => undefined); // the rejected call tells it
    try {
      await work(channel);
    } finally {
      void closeChannel(channel, 0);
    }
  }
}
