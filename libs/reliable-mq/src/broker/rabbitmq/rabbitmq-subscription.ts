import { randomUUID } from 'node:crypto';
import type { Channel, ConsumeMessage } from 'amqplib';
import { InvalidSetupError, describeError } from '../../event/errors';
import type { Delivery, QueueSpec, Subscription, SubscriptionStatus } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { fulfilledWithin } from '../../wait/deadline';
import { RabbitMqDelivery } from './rabbitmq-delivery';
import { SelfHealingChannel, closeChannel } from './self-healing-channel';
import { problemText } from './declaration';
import type { Topology } from './topology';
import type { Log } from '../../log/log';

/** How long `close` and the first `subscribe` wait for a broker that does not answer. */
const ANSWER_WITHIN_MS = 3_000;

/**
 * RabbitMQ 4.3 takes back what a consumer holds for longer than half an hour, or what its configuration says; other versions don't know
 * the argument. Here a handler has its own deadline, and a message is held for as long as the consumer's database is away.
 */
const HOLD_AT_MOST_MS = 2_147_483_647;

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
  /** The reason that was told, while nothing is consumed: it is tried again and again, and told once. */
  private told: string | undefined;
  private closed = false;
  /** Deliveries of the latest channel that were handed on and not acknowledged. */
  private load = { unsettled: 0 };
  /** False for an `existing` queue that is not there. */
  private present = true;
  private readonly channel: SelfHealingChannel<Channel>;
  /** Of the consumer that the broker knows, or is about to know. */
  private consumerTag: string | undefined;
  private firstAttempt!: { resolve: () => void; reject: (error: unknown) => void };
  private readonly attempted = new Promise<void>((resolve, reject) => (this.firstAttempt = { resolve, reject }));

  constructor(
    private readonly connection: BrokerConnection,
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
        this.load = { unsettled: 0 };
        this.present = await topology.declare(options.spec);
        await channel.prefetch(options.prefetch);
        if (this.present && !this.closed) await this.consume(channel);
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

  status(): SubscriptionStatus {
    // A tag is chosen before the broker has agreed; the channel is current when it has.
    const isAgreed = this.consumerTag !== undefined && this.channel.current !== undefined;
    if (isAgreed && !this.closed && this.problem === undefined) return { consuming: true };
    const { name } = this.options.spec;
    const reason = this.closed
      ? `queue "${name}" is no longer consumed`
      : (this.problem ?? this.connection.problem ?? (this.present ? undefined : `queue "${name}" does not exist`));
    return { consuming: false, reason: reason ?? `queue "${name}" is about to be consumed` };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.topology.remove(this.options.spec);
    this.channel.retire();
    this.setProblem(undefined);
    await this.cancel();
    this.giveBackTheRest();
  }

  /** Gives unsettled deliveries back to the broker. */
  async closeChannel(withinMs: number): Promise<void> {
    this.closed = true;
    await this.channel.close(withinMs);
  }

  private onReady(): void {
    this.firstAttempt.resolve();
    // close(), or the end of the consumer, may have come while the channel was being prepared.
    if (this.closed) return void this.cancel().then(() => this.giveBackTheRest());
    if (this.present && this.consumerTag === undefined) return this.channel.replace();
    if (this.told !== undefined) this.logger.log('RabbitMQ queue is consumed again', { queue: this.options.spec.name });
    this.told = undefined;
    this.setProblem(undefined);
  }

  private onFailed(error: unknown): void {
    this.reportFailure(error);
    if (error instanceof InvalidSetupError) this.firstAttempt.reject(error);
    else this.firstAttempt.resolve();
  }

  /** Bounded. Rejected, the channel has closed under it, and the consumer with it. */
  private async cancel(): Promise<void> {
    const channel = this.channel.current;
    const tag = this.consumerTag;
    if (!channel || tag === undefined) return;
    this.consumerTag = undefined;
    await fulfilledWithin(ANSWER_WITHIN_MS, channel.cancel(tag));
  }

  /**
   * What arrived while the consumer was being cancelled stays unacknowledged, and goes back with the channel: at the latest when the
   * transport closes, and at once when nothing that was handed on is left to be acknowledged on it.
   */
  private giveBackTheRest(): void {
    const channel = this.channel.current;
    if (channel && this.closed && this.load.unsettled === 0) void closeChannel(channel, 0);
  }

  private async consume(channel: Channel): Promise<void> {
    // Chosen here, so that a cancellation which comes right behind the broker's agreement is recognised.
    const tag = `${this.options.service}-${randomUUID()}`;
    this.consumerTag = tag;
    await channel.consume(
      this.options.spec.name,
      (raw) => (raw ? this.onMessage(channel, raw) : this.onCancelled(tag)),
      { consumerTag: tag, arguments: { 'x-consumer-timeout': HOLD_AT_MOST_MS } },
    );
  }

  private onMessage(channel: Channel, raw: ConsumeMessage): void {
    if (this.closed) return;
    const { load } = this;
    load.unsettled += 1;
    const delivery = new RabbitMqDelivery(channel, raw, this.options.spec.name, () => {
      load.unsettled -= 1;
      this.giveBackTheRest();
    });
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

  /**
   * The broker ended the consumer: the queue was deleted, lost its node, or a message was held for too long. What is in hand goes back with
   * the channel: the broker gives no more to a consumer of a channel that holds what it has taken away from it.
   */
  private onCancelled(tag: string): void {
    if (this.consumerTag !== tag) return;
    this.consumerTag = undefined;
    if (this.closed) return;
    this.reportPause(
      'the broker cancelled the consumer: the queue was deleted or has no node, or a message was held too long',
    );
    this.channel.replace();
  }

  /** The queue can't be declared or consumed; tried again and again, because a person may mend it. */
  private reportFailure(error: unknown): void {
    const reason = problemText(error);
    if (this.told !== reason)
      this.logger.error('RabbitMQ queue cannot be consumed', { queue: this.options.spec.name, reason });
    this.told = reason;
    this.setProblem(reason);
  }

  /** Consuming ended, and goes on soon. */
  private reportPause(reason: string): void {
    if (this.told !== reason)
      this.logger.warn('RabbitMQ queue is not consumed at present', { queue: this.options.spec.name, reason });
    this.told = reason;
    this.setProblem(reason);
  }

  private setProblem(reason: string | undefined): void {
    this.problem = reason && `queue "${this.options.spec.name}" is not consumed: ${reason}`;
    this.options.onChange();
  }
}
