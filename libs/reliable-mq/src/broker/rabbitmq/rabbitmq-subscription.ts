import { randomUUID } from 'node:crypto';
import type { Channel, ConsumeMessage } from 'amqplib';
import { InvalidSetupError, describeError } from '../../event/errors';
import type { Delivery, QueueSpec, Subscription } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { fulfilledWithin } from '../../wait/deadline';
import { RabbitMqDelivery } from './rabbitmq-delivery';
import { RetryTimer } from './retry-timer';
import { SelfHealingChannel } from './self-healing-channel';
import { problemText, type Topology } from './topology';
import type { Log } from '../../log/log';

/** How long `pause` and the first `subscribe` wait for a broker that does not answer. */
const ANSWER_WITHIN_MS = 3_000;

export interface SubscriptionOptions {
  readonly service: string;
  readonly spec: QueueSpec;
  readonly prefetch: number;
  readonly onDelivery: (delivery: Delivery) => void;
  /** `problem` may have changed. */
  readonly onChange: () => void;
}

/**
 * One consumer with a channel of its own, so that what the broker closes it for (a consumer timeout, a vanished queue) concerns
 * no other consumer. Whatever happens, it declares its queue and consumes again.
 */
export class RabbitMqSubscription implements Subscription {
  /** Why nothing is consumed although the broker is there. */
  problem: string | undefined;
  private wanted: 'consuming' | 'paused' | 'closed' = 'consuming';
  private readonly channel: SelfHealingChannel<Channel>;
  private readonly retry = new RetryTimer();
  /** Of the consumer that the broker knows, or is about to know. */
  private consumerTag: string | undefined;
  /** Steps that change what the broker knows run one after the other. */
  private steps: Promise<void> = Promise.resolve();
  private firstAttempt!: { resolve: () => void; reject: (error: unknown) => void };
  private readonly attempted = new Promise<void>((resolve, reject) => (this.firstAttempt = { resolve, reject }));

  constructor(
    connection: BrokerConnection,
    private readonly topology: Topology,
    private readonly options: SubscriptionOptions,
    private readonly logger: Log,
  ) {
    this.attempted.catch(() => undefined);
    topology.add(options.spec);
    if (!connection.model) this.firstAttempt.resolve();
    this.channel = new SelfHealingChannel<Channel>(connection, {
      open: (model) => model.createChannel(),
      prepare: async (channel) => {
        await topology.declare(options.spec);
        await channel.prefetch(options.prefetch);
        if (this.wanted === 'consuming') await this.consume(channel);
      },
      ready: () => this.onReady(),
      ended: (end) => {
        this.consumerTag = undefined;
        if (end.by === 'server') this.reportPause(`the broker closed its channel: ${end.text}`);
      },
      failed: (error) => this.onFailed(error),
    });
  }

  /**
   * Resolves when the first attempt to consume has ended, or there is no broker to ask.
   * @throws InvalidSetupError when the queue, or what it needs, exists with other properties
   */
  async started(): Promise<void> {
    await fulfilledWithin(ANSWER_WITHIN_MS, this.attempted);
    // Rejects if the attempt has failed by now; an attempt still under way is not waited for.
    await Promise.race([this.attempted, Promise.resolve()]);
  }

  pause(): Promise<void> {
    if (this.wanted === 'consuming') this.wanted = 'paused';
    return this.adjust();
  }

  resume(): Promise<void> {
    if (this.wanted === 'paused') this.wanted = 'consuming';
    return this.adjust();
  }

  close(): Promise<void> {
    this.wanted = 'closed';
    this.topology.remove(this.options.spec);
    this.retry.stop();
    this.channel.retire();
    this.setProblem(undefined);
    return this.adjust();
  }

  /** Gives unsettled deliveries back to the broker. */
  async closeChannel(withinMs: number): Promise<void> {
    this.wanted = 'closed';
    this.retry.stop();
    await this.channel.close(withinMs);
  }

  private onReady(): void {
    this.setProblem(undefined);
    this.firstAttempt.resolve();
    // pause() or close() may have come while the channel was being prepared.
    void this.adjust();
  }

  private onFailed(error: unknown): void {
    this.reportFailure(error);
    if (error instanceof InvalidSetupError) this.firstAttempt.reject(error);
    else this.firstAttempt.resolve();
  }

  /** Makes the broker know what is wanted: consume, or cancel. Bounded; what can't be said now is settled with the next channel. */
  private async adjust(): Promise<void> {
    this.steps = this.steps.then(() => this.adjustNow());
    await fulfilledWithin(ANSWER_WITHIN_MS, this.steps);
  }

  private async adjustNow(): Promise<void> {
    const channel = this.channel.current;
    if (!channel) return;
    try {
      if (this.wanted === 'consuming') {
        if (!this.consumerTag) await this.consume(channel);
      } else if (this.consumerTag) {
        await channel.cancel(this.consumerTag);
        this.consumerTag = undefined;
      }
    } catch {
      // The channel closed under it, for a reason that `ended` has reported; the next one is prepared as wanted then.
    }
  }

  private async consume(channel: Channel): Promise<void> {
    // Chosen here, so that a cancellation which comes right behind the broker's agreement is recognised.
    const tag = `${this.options.service}-${randomUUID()}`;
    this.consumerTag = tag;
    await channel.consume(
      this.options.spec.name,
      (raw) => (raw ? this.onMessage(channel, raw) : this.onCancelled(tag)),
      { consumerTag: tag },
    );
  }

  private onMessage(channel: Channel, raw: ConsumeMessage): void {
    const delivery = new RabbitMqDelivery(channel, raw, this.options.spec.name);
    // On its way when the consumer was cancelled: nobody here waits for it any more, another consumer may.
    if (this.wanted !== 'consuming') return delivery.requeue();
    try {
      this.options.onDelivery(delivery);
    } catch (error) {
      // Thrown on, amqplib would close the channel. The message stays unsettled: it comes again when the channel ends.
      this.logger.error('RabbitMQ delivery callback failed', {
        queue: this.options.spec.name,
        reason: describeError(error),
      });
    }
  }

  /** The broker ended the consumer: the queue was deleted, or lost its node. */
  private onCancelled(tag: string): void {
    if (this.consumerTag !== tag) return;
    this.consumerTag = undefined;
    if (this.wanted !== 'consuming') return;
    this.reportPause('the broker cancelled the consumer, the queue was deleted or has no node');
    this.consumeAgainLater();
  }

  private consumeAgainLater(): void {
    this.retry.schedule(() => {
      this.steps = this.steps.then(async () => {
        try {
          if (this.wanted !== 'consuming' || this.consumerTag || !this.channel.current) return;
          await this.topology.declare(this.options.spec);
          await this.adjustNow();
          if (this.consumerTag) this.setProblem(undefined);
        } catch (error) {
          this.reportFailure(error);
          this.consumeAgainLater();
        }
      });
    });
  }

  /** The queue can't be declared or consumed; tried again and again, because a person may mend it. */
  private reportFailure(error: unknown): void {
    const reason = problemText(error);
    this.logger.error('RabbitMQ queue cannot be consumed', { queue: this.options.spec.name, reason });
    this.setProblem(reason);
  }

  /** Consuming ended, and goes on soon. */
  private reportPause(reason: string): void {
    this.logger.warn('RabbitMQ queue is not consumed at present', { queue: this.options.spec.name, reason });
    this.setProblem(reason);
  }

  private setProblem(reason: string | undefined): void {
    this.problem = reason && `queue "${this.options.spec.name}" is not consumed: ${reason}`;
    this.options.onChange();
  }
}
