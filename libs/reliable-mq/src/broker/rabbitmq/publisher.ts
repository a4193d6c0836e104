import type { ConfirmChannel, Message } from 'amqplib';
import { describeError } from '../../event/errors';
import type { OutgoingMessage, PublishOutcome } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { InFlight, type InFlightMessage } from './in-flight';
import { SelfHealingChannel, replyCode, serverText, type ChannelEnd } from './self-healing-channel';
import { addressOf, propertiesOf } from './wire-message';
import type { Log } from '../../log/log';

/**
 * Beyond this the broker is not keeping up, and what it has not confirmed fills the socket's buffers: further messages are
 * answered `unavailable`. Far above any caller's window; reached when confirms time out again and again without the connection
 * being dead.
 */
const MAX_HELD_MESSAGES = 10_000;
const MAX_HELD_BYTES = 256 * 1024 * 1024;

const ROUTED: PublishOutcome = { status: 'routed' };
const NACKED: PublishOutcome = { status: 'refused', reason: 'the broker refused the message (basic.nack)' };

export interface PublisherOptions {
  readonly exchange: string;
  readonly confirmTimeoutMs: number;
  /** The exchange is gone, and all bindings with it. */
  readonly onExchangeLost: () => void;
  /** Whether it can publish, or why not, may have changed. */
  readonly onChange: () => void;
}

/** Publishes persistent messages over one confirm channel, and tells how each of them ended. */
export class Publisher {
  private readonly channel: SelfHealingChannel<ConfirmChannel>;
  private readonly inFlight = new InFlight();
  private problem: string | undefined;
  private closed = false;
  private lastConfirmAt = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly options: PublisherOptions,
    private readonly logger: Log,
  ) {
    this.channel = new SelfHealingChannel<ConfirmChannel>(connection, {
      open: (model) => model.createConfirmChannel(),
      prepare: async (channel) => {
        await channel.assertExchange(options.exchange, 'topic', { durable: true });
      },
      ready: (channel) => this.onReady(channel),
      ended: (end) => this.onEnded(end),
      failed: (error) => this.onFailed(error),
    });
  }

  /** Why publishing now would end `unavailable`. */
  get unavailableReason(): string | undefined {
    if (this.closed) return 'the transport is closed';
    if (this.connection.problem) return this.connection.problem;
    if (this.connection.blockedReason) return `blocked by the broker: ${this.connection.blockedReason}`;
    if (!this.channel.current) return this.problem ?? `opening a channel on ${this.connection.uri}`;
    return undefined;
  }

  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void {
    const reason = this.unavailableReason ?? this.overloadReason();
    const channel = this.channel.current;
    if (reason !== undefined || !channel)
      return this.answerLater(done, { status: 'unavailable', reason: reason ?? 'no channel' });
    const { exchange, routingKey } = addressOf(message.target, this.options.exchange);
    try {
      // Its return value says that a buffer is above its mark; what bounds the memory is the caller's window, and the limit above.
      channel.publish(exchange, routingKey, message.body, propertiesOf(message, true));
    } catch (error) {
      return this.answerLater(done, outcomeOfThrow(error));
    }
    const { messageId, body } = message;
    this.inFlight.add({ exchange, routingKey, messageId, bytes: body.length, sentAt: performance.now(), done });
    this.timer ??= setTimeout(() => this.expire(), this.options.confirmTimeoutMs);
  }

  /** In-flight messages end `unavailable`. */
  async close(withinMs: number): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    this.finish(this.inFlight.takeAll(), {
      status: 'unavailable',
      reason: 'the transport was closed before the broker confirmed',
    });
    await this.channel.close(withinMs);
  }

  private onReady(channel: ConfirmChannel): void {
    this.problem = undefined;
    channel.on('ack', (confirm: Confirm) => this.onConfirm(confirm, outcomeOfAck));
    channel.on('nack', (confirm: Confirm) => this.onConfirm(confirm, () => NACKED));
    channel.on('return', ({ fields, properties }: Message) =>
      this.inFlight.markReturned(fields.exchange, fields.routingKey, properties.messageId),
    );
    this.options.onChange();
  }

  private onConfirm({ deliveryTag, multiple }: Confirm, outcomeOf: (message: InFlightMessage) => PublishOutcome): void {
    this.lastConfirmAt = performance.now();
    this.inFlight.take(deliveryTag, multiple, (message) => this.answer(message.done, outcomeOf(message)));
  }

  private onEnded(end: ChannelEnd): void {
    const messages = this.inFlight.takeAll();
    if (end.by === 'server') {
      this.problem = `the broker closed the publishing channel: ${end.text}`;
      this.logger.warn('RabbitMQ closed the publishing channel', { reason: end.text, inFlight: messages.length });
      // 404 can only mean the exchange: a queue that does not exist returns the message instead.
      if (end.code === 404) this.options.onExchangeLost();
      this.finish(messages, { status: end.code === 404 ? 'unavailable' : 'refused', reason: end.text });
    } else {
      this.finish(messages, {
        status: 'unavailable',
        reason: `connection to ${this.connection.uri} lost before the broker confirmed`,
      });
    }
    this.options.onChange();
  }

  private onFailed(error: unknown): void {
    this.problem = publishingProblem(error, this.options.exchange);
    this.logger.error('RabbitMQ publishing channel cannot be opened', { reason: this.problem });
    this.options.onChange();
  }

  /**
   * One timer for all: it fires when the message that was the oldest is due, so at most once per timeout under load. A message
   * that was published while the timer already ran is looked at again when its own time has come.
   */
  private expire(): void {
    const { confirmTimeoutMs } = this.options;
    const now = performance.now();
    const expired = this.inFlight.abandon(now - confirmTimeoutMs + 1);
    const oldest = this.inFlight.oldest;
    this.timer = oldest && setTimeout(() => this.expire(), Math.max(1, oldest.sentAt + confirmTimeoutMs - now));
    const first = expired[0];
    if (!first) return;
    const blocked = this.connection.blockedReason;
    const reason = blocked
      ? `blocked by the broker: ${blocked}`
      : `no confirm from ${this.connection.uri} within ${confirmTimeoutMs} ms`;
    this.finish(expired, { status: 'unavailable', reason });
    // Not one confirm since the oldest was sent: the connection is taken for dead. A blocked one is silent for a known reason.
    if (!blocked && this.lastConfirmAt < first.sentAt) this.connection.recycle(reason);
  }

  private overloadReason(): string | undefined {
    const { count, bytes } = this.inFlight.held;
    if (count < MAX_HELD_MESSAGES && bytes < MAX_HELD_BYTES) return undefined;
    return `${count} messages (${bytes} bytes) wait for the confirm of ${this.connection.uri}`;
  }

  private answerLater(done: (outcome: PublishOutcome) => void, outcome: PublishOutcome): void {
    // Not a microtask: a caller that publishes again at once must not starve the sockets.
    setImmediate(() => this.answer(done, outcome));
  }

  private finish(messages: readonly InFlightMessage[], outcome: PublishOutcome): void {
    for (const message of messages) this.answer(message.done, outcome);
  }

  private answer(done: (outcome: PublishOutcome) => void, outcome: PublishOutcome): void {
    try {
      done(outcome);
    } catch (error) {
      // Thrown on, it would reach amqplib's frame loop, which would close the connection for it.
      this.logger.error('RabbitMQ publish callback failed', { reason: describeError(error) });
    }
  }
}

interface Confirm {
  readonly deliveryTag: number;
  readonly multiple: boolean;
}

function outcomeOfAck({ returned, exchange, routingKey }: InFlightMessage): PublishOutcome {
  if (!returned) return ROUTED;
  const reason =
    exchange === ''
      ? `queue "${routingKey}" does not exist`
      : `no queue is bound for "${routingKey}" on exchange "${exchange}"`;
  return { status: 'unroutable', reason };
}

function outcomeOfThrow(error: unknown): PublishOutcome {
  const reason = describeError(error);
  // amqplib's error for a channel or connection that is closing; everything else it throws is about the message.
  const closing = (error as { name?: unknown } | null)?.name === 'IllegalOperationError';
  return closing
    ? { status: 'unavailable', reason }
    : { status: 'refused', reason: `the message cannot be encoded: ${reason}` };
}

function publishingProblem(error: unknown, exchange: string): string {
  const text = serverText(error);
  if (replyCode(error) !== 406) return `exchange "${exchange}" cannot be declared: ${text}`;
  return `exchange "${exchange}" exists with other properties (${text}). It must be a durable topic exchange: delete it, or choose another name with the option rabbitmq.exchange`;
}
