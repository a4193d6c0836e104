import type { Channel, ChannelModel } from 'amqplib';
import type { BrokerConnection } from './broker-connection';
import { describeConnectionLoss } from './connection-problem';
import { fulfilledWithin } from '../../wait/deadline';
import { RetryTimer } from './retry-timer';

/** How a channel ended: the server closed it and said why, the connection was lost, or this process closed it. */
export type ChannelEnd =
  | { readonly by: 'server'; readonly code: number | undefined; readonly text: string }
  | { readonly by: 'connection' }
  | { readonly by: 'us' };

export interface ChannelPurpose<C extends Channel> {
  open(model: ChannelModel): Promise<C>;
  /** Declares and prepares; `current` is set after it. A rejection closes the channel, and it is tried again later. */
  prepare?(channel: C): Promise<void>;
  ready?(channel: C): void;
  /** `current` is undefined by then. */
  ended?(end: ChannelEnd, channel: C): void;
  /** The channel could not be opened or prepared although the connection is there. Called at each attempt. */
  failed?(error: unknown): void;
}

/** A channel that is opened again whenever it, or its connection, was lost. */
export class SelfHealingChannel<C extends Channel> {
  private channel: C | undefined;
  private replaced: C | undefined;
  private readonly retry = new RetryTimer();
  private readonly stopListening: () => void;
  /** Raised at each new connection and at the end, so that an opening in progress knows that it is out of date. */
  private generation = 0;
  private closed = false;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly purpose: ChannelPurpose<C>,
  ) {
    this.stopListening = connection.listen({
      connected: () => this.openAnew(),
      disconnected: () => this.retry.stop(),
    });
    if (connection.model) this.openAnew();
  }

  /** The channel, while it is open and prepared. */
  get current(): C | undefined {
    return this.channel;
  }

  /** Closes the present channel and opens another one. */
  replace(): void {
    const channel = this.channel;
    if (!channel || this.replaced === channel) return;
    this.replaced = channel;
    void closeChannel(channel, 0);
  }

  /** The channel that is open now, or is being opened, is the last one. */
  retire(): void {
    this.closed = true;
    this.retry.stop();
    this.stopListening();
  }

  /** Closes the channel for good; waits for the broker's agreement for `withinMs` at most. */
  async close(withinMs: number): Promise<void> {
    this.retire();
    this.generation += 1;
    const channel = this.channel;
    if (channel) await closeChannel(channel, withinMs);
  }

  private openAnew(): void {
    this.generation += 1;
    this.retry.stop();
    void this.open(this.generation);
  }

  private async open(generation: number): Promise<void> {
    const model = this.connection.model;
    if (!model) return;
    let opened: C | undefined;
    try {
      const channel = (opened = await this.purpose.open(model));
      this.watch(channel);
      await this.purpose.prepare?.(channel);
      if (generation !== this.generation) return void closeChannel(channel, 0);
      this.channel = channel;
      this.purpose.ready?.(channel);
    } catch (error) {
      if (opened) void closeChannel(opened, 0);
      // Without a connection nothing is wrong with the channel: it is opened when the connection is back.
      if (generation !== this.generation || this.connection.model !== model) return;
      this.purpose.failed?.(error);
      this.retryLater();
    }
  }

  private watch(channel: C): void {
    let end: ChannelEnd = { by: 'connection' };
    channel.on('error', (error: unknown) => (end = serverEnd(error)));
    channel.once('close', () => {
      if (this.channel !== channel) return; // it never became the current one; open() deals with it
      this.channel = undefined;
      this.purpose.ended?.(this.closed || this.replaced === channel ? { by: 'us' } : end, channel);
      // After a lost connection (not known here yet) the timer is stopped by `disconnected`, which follows.
      this.retryLater();
    });
  }

  private retryLater(): void {
    if (!this.closed) this.retry.schedule(() => this.openAnew());
  }
}

/** The server's words, for people: `NOT_FOUND - no exchange 'x' in vhost '/'`. */
export function serverText(error: unknown): string {
  const text = describeConnectionLoss(error);
  return /with message "(.*)"$/.exec(text)?.[1] ?? text;
}

/** AMQP's reply code: 404 not found, 406 precondition failed, … */
export function replyCode(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'number' ? code : undefined;
}

function serverEnd(error: unknown): ChannelEnd {
  return { by: 'server', code: replyCode(error), text: serverText(error) };
}

/** Never rejects: a channel that can't be closed is closed already, or ends with its connection. */
export async function closeChannel(channel: Channel, withinMs: number): Promise<void> {
  // When the connection is lost meanwhile the broker's answer never comes, but the channel's `close` event does.
  const gone = new Promise<void>((resolve) => channel.once('close', resolve));
  const closing = channel.close().catch(() => undefined);
  if (withinMs > 0) await fulfilledWithin(withinMs, Promise.race([closing, gone]));
}
