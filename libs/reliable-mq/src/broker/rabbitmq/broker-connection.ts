import type { ChannelModel } from 'amqplib';
import { fulfilledWithin } from '../../wait/deadline';
import { describeConnectFailure, describeConnectionLoss, uriForPeople } from './connection-problem';
import type { ConnectionSource, Endpoint } from './connection-source';
import type { Log } from '../../log/log';

/** How long whoever starts up waits to see whether the broker is there. */
const FIRST_ATTEMPT_WITHIN_MS = 3_000;
/** One that is lost sooner did not last: the broker closes it each time, for a limit that is reached, say. */
const LASTS_AFTER_MS = 10_000;

export interface ConnectionListener {
  /** The connection is there; open channels now. */
  connected?(model: ChannelModel): void;
  /** It was lost, or could not be made. All channels on it are closed by then. */
  disconnected?(): void;
  /** The broker began or ended to block it. */
  blockedChanged?(): void;
}

/**
 * The state of one connection to the broker that comes back by itself. Channels are opened by the listeners, on the plain connection:
 * they are opened again after the server closed them, and buffer nothing while there is no connection.
 */
export class BrokerConnection {
  private readonly listeners = new Set<ConnectionListener>();
  private state:
    { readonly model: ChannelModel; readonly uri: string } | { readonly model?: undefined; readonly problem: string } =
    {
      problem: 'not started',
    };
  private blocked: string | undefined;
  /** The latest failure of each URI, since the connection was lost: one text that stays the same while all of them are down. */
  private readonly failures = new Map<string, string>();
  /** Why this side dropped the connection, if it did. */
  private dropped: string | undefined;
  /** The problem that was told, until a connection lasts: one that comes and goes is one outage. */
  private told: string | undefined;
  private openedAt = 0;
  /** Whether the connection before did not last. */
  private isBrief = false;
  /** Tells of a connection once it has lasted. */
  private lasting: NodeJS.Timeout | undefined;
  private started = false;
  private closing = false;
  private closed: Promise<void> | undefined;
  private attempted!: () => void;
  /** Settles when the first attempt to connect has ended, either way, or takes too long. */
  private readonly firstAttempt = new Promise<void>((resolve) => (this.attempted = resolve));

  /**
   * @param purpose for logs: `publish` or `consume`
   * @param firstUri for reasons, before there was any attempt
   */
  constructor(
    private readonly source: ConnectionSource,
    private readonly purpose: string,
    private readonly firstUri: string,
    private readonly logger: Log,
  ) {}

  /** The open connection, if there is one. */
  get model(): ChannelModel | undefined {
    return this.state.model;
  }

  /** For reasons: the (masked) URI in use, or the first one. */
  get uri(): string {
    return uriForPeople(this.state.model ? this.state.uri : this.firstUri);
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
    if (this.started || this.closing) return;
    this.started = true;
    this.state = { problem: `not connected to ${this.uri}: connecting` };
    this.source.start({
      opened: (model, endpoint) => this.onOpened(model, endpoint),
      failed: (error, endpoint) => this.onFailed(error, endpoint),
      lost: (error) => this.onLost(error),
      blocked: (reason) => this.onBlocked(reason),
    });
  }

  /** Resolves when it is known whether the broker is there; at once when nothing was started. */
  async settled(): Promise<void> {
    if (this.started && !this.closing) await fulfilledWithin(FIRST_ATTEMPT_WITHIN_MS, this.firstAttempt);
    this.attempted();
  }

  /** Drops a connection that looks open and is dead, without asking the other side; it is made again later. */
  recycle(reason: string): void {
    if (!this.state.model) return;
    this.logger.warn('RabbitMQ connection is dropped', { purpose: this.purpose, uri: this.uri, reason });
    this.dropped = reason;
    this.source.drop();
  }

  /** Bounded, whatever state the connection is in. Idempotent. */
  close(): Promise<void> {
    return (this.closed ??= this.shutDown());
  }

  private async shutDown(): Promise<void> {
    this.closing = true;
    this.attempted();
    await this.source.close();
    this.becomeDown('closed');
    this.listeners.clear();
  }

  private onOpened(model: ChannelModel, { uri }: Endpoint): void {
    if (this.closing) return;
    this.state = { model, uri };
    this.blocked = undefined;
    this.dropped = undefined;
    this.failures.clear();
    this.openedAt = performance.now();
    if (this.isBrief) this.lasting = setTimeout(() => this.tellConnected(), LASTS_AFTER_MS);
    else this.tellConnected();
    this.attempted();
    this.tell((listener) => listener.connected?.(model));
  }

  private tellConnected(): void {
    this.told = undefined;
    this.logger.log('RabbitMQ connected', { purpose: this.purpose, uri: this.uri });
  }

  private onFailed(error: unknown, endpoint: Endpoint): void {
    this.failures.set(uriForPeople(endpoint.uri), describeConnectFailure(error, endpoint));
    this.becomeDown(`not connected to ${[...this.failures].map(([to, why]) => `${to}: ${why}`).join('; ')}`);
    this.attempted();
  }

  private onLost(error: unknown): void {
    this.becomeDown(`not connected to ${this.uri}: ${this.dropped ?? describeConnectionLoss(error)}`);
  }

  private becomeDown(problem: string): void {
    if (!this.state.model && this.state.problem === problem) return;
    if (this.state.model) this.isBrief = performance.now() - this.openedAt < LASTS_AFTER_MS;
    clearTimeout(this.lasting);
    this.state = { problem };
    this.blocked = undefined;
    if (!this.closing && this.told !== problem)
      this.logger.warn('RabbitMQ is not connected', { purpose: this.purpose, reason: problem });
    this.told = problem;
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
