import type { Log } from '../../log/log';
import type { OutgoingMessage, PublishOutcome } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { ConfirmedChannel, type ConfirmChannelOptions } from './confirm-channel';
import type { ExchangeOptions } from './declaration';
import type { InFlightMessage } from './in-flight';
import { LonePublisher } from './lone-publisher';
import type { PublishedMessage } from './refusal';
import type { ChannelEnd } from './self-healing-channel';
import { Suspicions } from './suspicions';
import { TargetTroubles } from './target-troubles';
import { addressOf } from './wire-message';

/**
 * Beyond this the broker is not keeping up, and what it has not confirmed fills the socket's buffers: further messages are
 * answered `unavailable`. Far above any caller's window; reached when confirms time out again and again without the connection
 * being dead.
 */
const MAX_HELD_MESSAGES = 10_000;
const MAX_HELD_BYTES = 256 * 1024 * 1024;
const NOT_FOUND = 404;
/** So that a status can be read when many targets are in trouble. */
const MAX_REASONS = 5;

export interface PublisherOptions extends ExchangeOptions {
  readonly confirmTimeoutMs: number;
  /** The exchange is gone, and all bindings with it. */
  readonly onExchangeLost: () => void;
  /** Whether it can publish, or what is in its way, may have changed. */
  readonly onChange: () => void;
}

/**
 * Publishes persistent messages over one confirm channel, and tells how each of them ended. What the broker has closed that channel for
 * goes over a second one, alone, until it is taken again.
 */
export class Publisher {
  private readonly shared: ConfirmedChannel;
  private readonly alone: LonePublisher;
  private readonly loneChannel: ConfirmedChannel;
  private readonly suspicions = new Suspicions();
  private readonly troubles = new TargetTroubles();
  private closed = false;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly options: PublisherOptions,
    private readonly logger: Log,
  ) {
    const channelOptions = (purpose: Partial<ConfirmChannelOptions>): ConfirmChannelOptions => ({
      ...options,
      onClosed: (end, inFlight) => this.onClosed(end, inFlight),
      onConfirmed: (message, outcome) => this.onConfirmed(message, outcome),
      onExpired: (expired, reason, silent) => this.onExpired(expired, reason, silent),
      ...purpose,
    });
    this.shared = new ConfirmedChannel(connection, channelOptions({}), logger);
    this.loneChannel = new ConfirmedChannel(connection, channelOptions({ onChange: () => this.alone?.next() }), logger);
    this.alone = new LonePublisher(this.loneChannel, options.confirmTimeoutMs, (message) => {
      const way = this.wayOf(message);
      return typeof way === 'object' ? way : undefined;
    });
  }

  /** Why publishing now would end `unavailable`. */
  get unavailableReason(): string | undefined {
    if (this.closed) return 'the transport is closed';
    if (this.connection.problem) return this.connection.problem;
    if (this.connection.blockedReason) return `blocked by the broker: ${this.connection.blockedReason}`;
    if (!this.shared.isOpen) return this.shared.problem ?? `opening a channel on ${this.connection.uri}`;
    return undefined;
  }

  /** What can't be published although the rest can, for people. */
  get problems(): string[] {
    return [
      ...this.suspicions.reasons.map((reason) => `the broker refuses some messages: ${reason}`),
      ...this.troubles.reasons.map((reason) => `nothing is published to ${reason}`),
    ].slice(0, MAX_REASONS);
  }

  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void {
    const reason = this.unavailableReason ?? this.overloadReason();
    if (reason !== undefined) return this.shared.answerLater(done, { status: 'unavailable', reason });
    const way = this.suspicions.any ? this.wayOf(message) : 'with others';
    if (way === 'with others') return this.shared.publish(message, done);
    if (way === 'alone') return this.alone.publish(message, done);
    this.shared.answerLater(done, way);
  }

  /** In-flight messages end `unavailable`. */
  async close(withinMs: number): Promise<void> {
    this.closed = true;
    this.alone.close();
    await Promise.all([this.shared.close(withinMs), this.loneChannel.close(withinMs)]);
  }

  private wayOf(message: OutgoingMessage): ReturnType<Suspicions['ways']> {
    const published: PublishedMessage = {
      ...addressOf(message.target, this.options.exchange),
      messageId: message.messageId,
      bytes: message.body.length,
    };
    return this.suspicions.ways(published, performance.now());
  }

  private onClosed(
    { code, text }: Extract<ChannelEnd, { by: 'server' }>,
    inFlight: readonly InFlightMessage[],
  ): (message: InFlightMessage) => PublishOutcome {
    this.logger.warn('RabbitMQ closed the publishing channel', { reason: text, inFlight: inFlight.length });
    // It can only mean the exchange: a queue that does not exist returns the message instead.
    if (code === NOT_FOUND) {
      this.options.onExchangeLost();
      return () => ({ status: 'unavailable', reason: text });
    }
    return this.suspicions.blame(text, inFlight, performance.now());
  }

  private onConfirmed(message: InFlightMessage, outcome: PublishOutcome): void {
    if (outcome.status === 'refused') return this.noteTrouble(message, outcome.reason, true);
    let changed = this.troubles.any && this.troubles.clear(targetOf(message));
    if (this.suspicions.any) changed = this.suspicions.acquit(message) || changed;
    if (changed) this.options.onChange();
  }

  private onExpired(expired: readonly InFlightMessage[], reason: string, silent: boolean): void {
    for (const message of expired) this.noteTrouble(message, reason, false);
    // Not one confirm since the oldest was sent: the connection is taken for dead.
    if (silent) this.connection.recycle(reason);
  }

  private noteTrouble(message: InFlightMessage, reason: string, isNack: boolean): void {
    const { changed, replace } = this.troubles.note(
      targetOf(message),
      { reason, isNack, sentAt: message.sentAt },
      performance.now(),
    );
    if (changed) this.options.onChange();
    if (!replace) return;
    this.logger.warn('RabbitMQ publishing channel is replaced: everything for one target was refused', {
      target: targetOf(message),
      reason,
    });
    this.shared.replace();
    this.loneChannel.replace();
  }

  private overloadReason(): string | undefined {
    const { count, bytes } = this.shared.held;
    if (count < MAX_HELD_MESSAGES && bytes < MAX_HELD_BYTES) return undefined;
    return `${count} messages (${bytes} bytes) wait for the confirm of ${this.connection.uri}`;
  }
}

function targetOf({ exchange, routingKey }: PublishedMessage): string {
  return exchange === '' ? `queue "${routingKey}"` : `"${routingKey}" on exchange "${exchange}"`;
}
