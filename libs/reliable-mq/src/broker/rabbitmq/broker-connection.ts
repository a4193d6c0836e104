import { AmqpConnection } from '@golevelup/nestjs-rabbitmq';
import type { ChannelModel } from 'amqplib';
import type { ResolvedRabbitMqOptions } from './resolved-rabbitmq-options';
import { describeConnectFailure, describeConnectionLoss, uriForPeople } from './connection-problem';
import { fulfilledWithin } from '../../wait/deadline';
import { quietLogger } from './quiet-logger';
import type { Log } from '../../log/log';

/** How long a TCP (and TLS, and AMQP) handshake may take before the next URI is tried. */
const CONNECT_TIMEOUT_MS = 10_000;
/** How long the broker may take to agree to the end of a connection, before the socket is destroyed. */
const CLOSE_WITHIN_MS = 1_500;
/** How long whoever starts up waits to see whether the broker is there. */
const FIRST_ATTEMPT_WITHIN_MS = 3_000;

export interface ConnectionListener {
  /** The connection is there; open channels now. */
  connected?(model: ChannelModel): void;
  /** It was lost, or could not be made. All channels on it are closed by then. */
  disconnected?(): void;
  /** The broker began or ended to block it. */
  blockedChanged?(): void;
}

export interface ConnectionOptions {
  readonly service: string;
  /** Becomes part of the connection's name in the broker's management pages. */
  readonly purpose: 'publish' | 'consume';
  readonly rabbitmq: ResolvedRabbitMqOptions;
}

/**
 * One connection to the broker that comes back by itself. `AmqpConnection` (and amqp-connection-manager below it) owns the
 * reconnecting, the heartbeats and the rotation of URIs; channels are opened by the listeners on the plain connection, because
 * the manager's own channels buffer publishes without bound and are not reopened after the server closed them.
 */
export class BrokerConnection {
  private readonly listeners = new Set<ConnectionListener>();
  private amqp: AmqpConnection | undefined;
  private state:
    { readonly model: ChannelModel; readonly uri: string } | { readonly model?: undefined; readonly problem: string };
  private blocked: string | undefined;
  /** The latest failure of each URI, since the connection was lost: one text that stays the same while all of them are down. */
  private readonly failures = new Map<string, string>();
  /** Why this side destroyed the socket, if it did. */
  private dropped: string | undefined;
  private closing = false;
  private closed: Promise<void> | undefined;
  /** Destroys the socket of the present attempt or connection, in whatever state it is. */
  private socket: AbortController | undefined;
  private attempted!: () => void;
  /** Settles when the first attempt to connect has ended, either way, or takes too long. */
  private readonly firstAttempt = new Promise<void>((resolve) => (this.attempted = resolve));

  constructor(
    private readonly options: ConnectionOptions,
    private readonly logger: Log,
  ) {
    this.state = { problem: 'not started' };
  }

  /** The open connection, if there is one. */
  get model(): ChannelModel | undefined {
    return this.state.model;
  }

  /** For reasons: the (masked) URI in use, or the first one. */
  get uri(): string {
    return uriForPeople(this.state.model ? this.state.uri : (this.options.rabbitmq.uris[0] ?? ''));
  }

  /** Why there is no connection. */
  get problem(): string | undefined {
    return this.state.model ? undefined : this.state.problem;
  }

  /** Why the broker blocks what is published here, while it does. */
  get blockedReason(): string | undefined {
    return this.blocked;
  }

  listen(listener: ConnectionListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    if (this.amqp || this.closing) return;
    this.state = { problem: `not connected to ${this.uri}: connecting` };
    const { rabbitmq, service, purpose } = this.options;
    const signalOfNextAttempt = (): AbortSignal => {
      const attempt = (this.socket = new AbortController());
      // The manager had begun it before it was closed, and reads this only now. At once would be too early: the socket is not made.
      if (this.closing) setImmediate(() => attempt.abort());
      return attempt.signal;
    };
    const connectionOptions = {
      clientProperties: { connection_name: `${service} (${purpose})` },
      timeout: CONNECT_TIMEOUT_MS,
      // A message above 2 kB is written in two pieces; Nagle's algorithm would hold the second one back for 40 ms.
      noDelay: true,
      keepAlive: true,
      // amqplib reads it once per attempt, for net.connect, which destroys the socket when it fires. Nothing else can: neither
      // amqplib nor the manager give access to a socket that is still connecting.
      get signal(): AbortSignal {
        return signalOfNextAttempt();
      },
    };
    this.amqp = new AmqpConnection({
      name: `${service} (${purpose})`,
      uri: [...rabbitmq.uris],
      connectionInitOptions: { wait: false, skipConnectionFailedLogging: true, skipDisconnectFailedLogging: true },
      connectionManagerOptions: {
        heartbeatIntervalInSeconds: rabbitmq.heartbeatSeconds,
        reconnectTimeInSeconds: rabbitmq.reconnectMs / 1000,
        connectionOptions,
      },
      enableDirectReplyTo: false,
      registerHandlers: false,
      logger: quietLogger(this.logger),
    });
    this.amqp.init().catch((error: unknown) => {
      this.logger.debug?.('RabbitMQ connection set-up', { purpose, reason: describeConnectionLoss(error) });
    });
    // The managed connection exists as soon as init() was called, and emits nothing before the next tick.
    const manager = this.amqp.managedConnection;
    manager.on('connect', ({ url }) => this.onConnect(manager.connection, url));
    manager.on('connectFailed', ({ err, url }) => this.onConnectFailed(err, url));
    manager.on('disconnect', ({ err }) => this.onDisconnect(err));
    manager.on('blocked', ({ reason }) => this.onBlocked(reason || 'no reason given'));
    manager.on('unblocked', () => this.onBlocked(undefined));
  }

  /** Resolves when it is known whether the broker is there; at once when nothing was started. */
  async settled(): Promise<void> {
    if (this.amqp && !this.closing) await fulfilledWithin(FIRST_ATTEMPT_WITHIN_MS, this.firstAttempt);
    this.attempted();
  }

  /** Drops a connection that looks open and is dead, without asking the other side; it is made again after `reconnectMs`. */
  recycle(reason: string): void {
    if (!this.state.model) return;
    this.logger.warn('RabbitMQ connection is dropped', { purpose: this.options.purpose, uri: this.uri, reason });
    this.dropped = reason;
    this.socket?.abort();
  }

  /** Bounded, whatever state the connection is in. Idempotent. */
  close(): Promise<void> {
    return (this.closed ??= this.shutDown());
  }

  private async shutDown(): Promise<void> {
    this.closing = true;
    this.attempted();
    const manager = this.amqp?.managedConnection;
    if (manager) {
      // close() waits for an attempt in progress, and a failed attempt for its retry delay: 0 ends that wait.
      manager.reconnectTimeInSeconds = 0;
      if (manager.isConnected()) await fulfilledWithin(CLOSE_WITHIN_MS, manager.close());
      else void manager.close().catch(() => undefined);
      this.socket?.abort();
    }
    this.becomeDown('closed');
    this.listeners.clear();
  }

  private onConnect(model: ChannelModel | undefined, url: unknown): void {
    if (!model || this.closing) return;
    this.state = { model, uri: typeof url === 'string' ? url : (this.options.rabbitmq.uris[0] ?? '') };
    this.blocked = undefined;
    this.dropped = undefined;
    this.failures.clear();
    this.logger.log('RabbitMQ connected', { purpose: this.options.purpose, uri: this.uri });
    this.attempted();
    this.tell((listener) => listener.connected?.(model));
  }

  private onConnectFailed(error: unknown, url: unknown): void {
    const uri = typeof url === 'string' ? url : (this.options.rabbitmq.uris[0] ?? '');
    this.failures.set(uriForPeople(uri), describeConnectFailure(error, uri));
    this.becomeDown(`not connected to ${[...this.failures].map(([to, why]) => `${to}: ${why}`).join('; ')}`);
    this.attempted();
  }

  private onDisconnect(error: unknown): void {
    this.becomeDown(`not connected to ${this.uri}: ${this.dropped ?? describeConnectionLoss(error)}`);
  }

  private becomeDown(problem: string): void {
    if (!this.state.model && this.state.problem === problem) return;
    this.state = { problem };
    this.blocked = undefined;
    if (!this.closing)
      this.logger.warn('RabbitMQ is not connected', { purpose: this.options.purpose, reason: problem });
    this.tell((listener) => listener.disconnected?.());
  }

  private onBlocked(reason: string | undefined): void {
    if (this.blocked === reason) return;
    this.blocked = reason;
    this.logger.warn(reason ? 'RabbitMQ blocks publishing' : 'RabbitMQ no longer blocks publishing', {
      uri: this.uri,
      reason,
    });
    this.tell((listener) => listener.blockedChanged?.());
  }

  private tell(what: (listener: ConnectionListener) => void): void {
    for (const listener of [...this.listeners]) what(listener);
  }
}
