import { setTimeout as delay } from 'node:timers/promises';
import { connect, credentials, type ChannelModel } from 'amqplib';
import { fulfilledWithin, within } from '../../wait/deadline';
import { onAbort } from '../../wait/on-abort';
import type { ConnectionEvents, ConnectionSource, Endpoint } from './connection-source';
import type { RabbitMqCredentials } from './resolved-rabbitmq-options';

/** How long a TCP (and TLS, and AMQP) handshake may be silent, and credentials may take, before the next URI is tried. */
const CONNECT_TIMEOUT_MS = 10_000;
const WRITTEN_TOGETHER_BYTES = 256 * 1024;
/** How long the broker may take to agree to the end of a connection, before the socket is destroyed. */
const CLOSE_WITHIN_MS = 1_500;

export interface OwnConnectionOptions {
  /** Shown in the broker's management pages. */
  readonly name: string;
  /** Tried in turn. */
  readonly uris: readonly string[];
  readonly heartbeatSeconds: number;
  readonly reconnectMs: number;
  /** For `net.connect` or `tls.connect`: certificates, for example. */
  readonly socketOptions?: object;
  /** Asked at each attempt. In the place of those in the URI. */
  readonly credentials?: () => RabbitMqCredentials | Promise<RabbitMqCredentials>;
}

/** A connection of this library's own: tries the URIs in turn, waits between two attempts, and connects again when it is lost. */
export class OwnConnection implements ConnectionSource {
  private readonly closing = new AbortController();
  /** Destroys the socket of the present attempt or connection, in whatever state it is: amqplib gives no access to one that is connecting. */
  private socket = new AbortController();
  private model: ChannelModel | undefined;
  private started = false;

  constructor(private readonly options: OwnConnectionOptions) {}

  start(events: ConnectionEvents): void {
    if (this.started) return;
    this.started = true;
    void this.run(events);
  }

  drop(): void {
    this.socket.abort();
  }

  async close(): Promise<void> {
    this.closing.abort();
    if (this.model) await fulfilledWithin(CLOSE_WITHIN_MS, this.model.close());
    this.socket.abort();
  }

  private async run(events: ConnectionEvents): Promise<void> {
    const { uris, reconnectMs } = this.options;
    const { signal } = this.closing;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      await this.connectOnce(uris[attempt % uris.length] ?? '', events);
      await delay(reconnectMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One attempt and, if it succeeds, the whole life of its connection. */
  private async connectOnce(uri: string, events: ConnectionEvents): Promise<void> {
    let endpoint: Endpoint = { uri, username: usernameIn(uri) };
    let model: ChannelModel;
    try {
      const given = await this.askForCredentials();
      if (given) endpoint = { uri, username: given.username };
      model = await this.open(uri, given);
    } catch (error) {
      if (!this.closing.signal.aborted) events.failed(error, endpoint);
      return;
    }
    let loss: unknown;
    const closed = new Promise<void>((resolve) => {
      model.on('error', (error: unknown) => (loss = error));
      model.on('close', (error?: unknown) => {
        loss ??= error;
        resolve();
      });
    });
    model.on('blocked', (reason: string) => events.blocked(reason || 'no reason given'));
    model.on('unblocked', () => events.blocked(undefined));
    this.model = model;
    if (this.closing.signal.aborted) this.socket.abort();
    else events.opened(model, endpoint);
    await closed;
    this.model = undefined;
    events.lost(loss);
  }

  private async askForCredentials(): Promise<RabbitMqCredentials | undefined> {
    const { credentials: ask } = this.options;
    if (!ask) return undefined;
    const closed = new Promise<never>((_, reject) => onAbort(this.closing.signal, () => reject(new Error('closed'))));
    return within(
      CONNECT_TIMEOUT_MS,
      Promise.race([Promise.resolve().then(ask), closed]),
      () => new Error(`rabbitmq.credentials() gave no answer within ${CONNECT_TIMEOUT_MS} ms`),
    );
  }

  private async open(uri: string, given: RabbitMqCredentials | undefined): Promise<ChannelModel> {
    this.socket = new AbortController();
    // close() came while the credentials were asked for.
    if (this.closing.signal.aborted) throw new Error('closed');
    return connect(withHeartbeat(uri, this.options.heartbeatSeconds), {
      ...this.options.socketOptions,
      clientProperties: { connection_name: this.options.name },
      timeout: CONNECT_TIMEOUT_MS,
      // A message above 2 kB is written in two pieces; Nagle's algorithm would hold the second one back for 40 ms.
      noDelay: true,
      keepAlive: true,
      // What one turn of the event loop writes leaves together, and must fit.
      writableHighWaterMark: WRITTEN_TOGETHER_BYTES,
      // amqplib hands it to the socket, which is destroyed when it is aborted.
      signal: this.socket.signal,
      ...(given && { credentials: credentials.plain(given.username, given.password) }),
    });
  }
}

function withHeartbeat(uri: string, seconds: number): string {
  const url = new URL(uri);
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(seconds));
  return url.href;
}

function usernameIn(uri: string): string {
  const { username } = new URL(uri);
  try {
    return decodeURIComponent(username) || 'guest';
  } catch {
    return username;
  }
}
