import type { ConfirmChannel, Message } from 'amqplib';
import { describeError } from '../../event/errors';
import type { Log } from '../../log/log';
import type { OutgoingMessage, PublishOutcome } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { problemText, provideExchange, type ExchangeOptions } from './declaration';
import { InFlight, type InFlightMessage } from './in-flight';
import { SelfHealingChannel, type ChannelEnd } from './self-healing-channel';
import { addressOf, propertiesOf } from './wire-message';
import { writeTogether } from './write-together';

const ROUTED: PublishOutcome = { status: 'routed' };
const NACKED: PublishOutcome = { status: 'refused', reason: 'the broker refused the message (basic.nack)' };

export interface ConfirmChannelOptions extends ExchangeOptions {
  readonly confirmTimeoutMs: number;
  /** It can publish now, or no longer. */
  readonly onChange: () => void;
  /** The server closed it: how does each message that was in flight end? */
  readonly onClosed: (
    end: Extract<ChannelEnd, { by: 'server' }>,
    inFlight: readonly InFlightMessage[],
  ) => (message: InFlightMessage) => PublishOutcome;
  /** The broker answered a message. Before its `done`. */
  readonly onConfirmed: (message: InFlightMessage, outcome: PublishOutcome) => void;
  /** Messages found no answer within the time for it. `silent`: nor did any other since the first of them was sent. */
  readonly onExpired: (expired: readonly InFlightMessage[], reason: string, silent: boolean) => void;
}

/** One confirm channel that is opened again whenever it was lost, and how each message on it ended. */
export class ConfirmedChannel {
  private readonly channel: SelfHealingChannel<ConfirmChannel>;
  private readonly inFlight = new InFlight();
  private lastConfirmAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private reason: string | undefined;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly options: ConfirmChannelOptions,
    private readonly logger: Log,
  ) {
    this.channel = new SelfHealingChannel<ConfirmChannel>(connection, {
      open: (model) => model.createConfirmChannel(),
      prepare: (channel) => provideExchange(channel, options),
      ready: (channel) => this.onReady(channel),
      ended: (end) => this.onEnded(end),
      failed: (error) => this.onFailed(error),
    });
  }

  get isOpen(): boolean {
    return this.channel.current !== undefined;
  }

  /** Why it can't be opened, or was closed. */
  get problem(): string | undefined {
    return this.reason;
  }

  /** Messages that may still hold memory. */
  get held(): InFlight['held'] {
    return this.inFlight.held;
  }

  /** Only while it is open. `done` is called once, and never synchronously. */
  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void {
    const channel = this.channel.current;
    if (!channel) return this.answerLater(done, { status: 'unavailable', reason: this.reason ?? 'no channel' });
    const { exchange, routingKey } = addressOf(message.target, this.options.exchange);
    try {
      // Its return value says that a buffer is above its mark; what bounds the memory is the caller's window.
      channel.publish(exchange, routingKey, message.body, propertiesOf(message, true));
      writeTogether(channel);
    } catch (error) {
      return this.answerLater(done, outcomeOfThrow(error));
    }
    const { messageId, body } = message;
    this.inFlight.add({ exchange, routingKey, messageId, bytes: body.length, sentAt: performance.now(), done });
    this.timer ??= setTimeout(() => this.expire(), this.options.confirmTimeoutMs);
  }

  /** Never synchronously: a caller that publishes again at once must not starve the sockets. */
  answerLater(done: (outcome: PublishOutcome) => void, outcome: PublishOutcome): void {
    setImmediate(() => this.answer(done, outcome));
  }

  /** Opens another channel in its place; what is in flight ends `unavailable`. */
  replace(): void {
    this.channel.replace();
  }

  /** In-flight messages end `unavailable`. */
  async close(withinMs: number): Promise<void> {
    clearTimeout(this.timer);
    const reason = 'the transport was closed before the broker confirmed';
    this.finish(this.inFlight.takeAll(), () => ({ status: 'unavailable', reason }));
    await this.channel.close(withinMs);
  }

  private onReady(channel: ConfirmChannel): void {
    this.reason = undefined;
    channel.on('ack', (confirm: Confirm) => this.onConfirm(confirm, outcomeOfAck));
    channel.on('nack', (confirm: Confirm) => this.onConfirm(confirm, () => NACKED));
    channel.on('return', ({ fields, properties }: Message) =>
      this.inFlight.markReturned(fields.exchange, fields.routingKey, properties.messageId),
    );
    this.options.onChange();
  }

  private onConfirm({ deliveryTag, multiple }: Confirm, outcomeOf: (message: InFlightMessage) => PublishOutcome): void {
    this.lastConfirmAt = performance.now();
    this.inFlight.take(deliveryTag, multiple, (message) => {
      const outcome = outcomeOf(message);
      this.options.onConfirmed(message, outcome);
      this.answer(message.done, outcome);
    });
  }

  private onEnded(end: ChannelEnd): void {
    const messages = this.inFlight.takeAll();
    if (end.by === 'server') {
      this.reason = `the broker closed the publishing channel: ${end.text}`;
      this.finish(messages, this.options.onClosed(end, messages));
    } else {
      const what = end.by === 'us' ? 'channel replaced' : `connection to ${this.connection.uri} lost`;
      this.finish(messages, () => ({ status: 'unavailable', reason: `${what} before the broker confirmed` }));
    }
    this.options.onChange();
  }

  private onFailed(error: unknown): void {
    const reason = problemText(error);
    // It is tried again and again, and told once.
    if (this.reason !== reason) this.logger.error('RabbitMQ publishing channel cannot be opened', { reason });
    this.reason = reason;
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
    this.finish(expired, () => ({ status: 'unavailable', reason }));
    // A blocked one is silent for a known reason.
    if (!blocked) this.options.onExpired(expired, reason, this.lastConfirmAt < first.sentAt);
  }

  private finish(messages: readonly InFlightMessage[], outcomeOf: (message: InFlightMessage) => PublishOutcome): void {
    for (const message of messages) this.answer(message.done, outcomeOf(message));
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
