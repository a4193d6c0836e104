import { createServer, Socket, type AddressInfo, type Server } from 'node:net';
import { ProxiedConnection, type Direction, undisturbed } from './proxied-connection';

export type { Direction } from './proxied-connection';

export interface ProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Where to listen on 127.0.0.1. @default a port that the kernel chooses */
  readonly port?: number;
}

/** Starts a proxy on 127.0.0.1 that passes TCP connections on to the target until it is told to misbehave. */
export async function startProxy(options: ProxyOptions): Promise<TcpProxy> {
  const proxy = new TcpProxy(options.target);
  await proxy.listen(options.port ?? 0);
  return proxy;
}

/** A network between a client and its server that fails on command. Conditions hold for present and future connections. */
export class TcpProxy {
  private readonly server: Server;
  private readonly open = new Set<ProxiedConnection>();
  private readonly conditions = undisturbed();
  private boundPort = 0;
  private closed = false;

  constructor(private target: { readonly host: string; readonly port: number }) {
    // allowHalfOpen: an end is passed on in its direction only.
    this.server = createServer({ allowHalfOpen: true }, (client) => this.accept(client));
    this.server.on('error', () => undefined);
  }

  /** The same over `cut()` and `restore()`. */
  get port(): number {
    return this.boundPort;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.open.size;
  }

  /** How many bytes vanished in the black hole, in both directions together. */
  get swallowedBytes(): number {
    return this.conditions.swallowedBytes;
  }

  /** The given url with the proxy in place of its host and port. */
  url(original: string): string {
    const url = new URL(original);
    url.hostname = '127.0.0.1';
    url.port = String(this.boundPort);
    return url.href;
  }

  /** Resets every connection and refuses new ones, as when the server is gone. */
  async cut(): Promise<void> {
    const closing = new Promise<void>((resolve) =>
      this.server.listening ? this.server.close(() => resolve()) : resolve(),
    );
    this.dropAll();
    await closing;
  }

  /** Accepts connections again. */
  async restore(): Promise<void> {
    if (this.closed) throw new Error('The proxy is closed. Start another one with startProxy().');
    if (!this.server.listening) await this.listen(this.boundPort);
  }

  /** From now on new connections go there; those that are open stay, as with an address that moves at a failover. */
  leadTo(target: { readonly host: string; readonly port: number }): void {
    this.target = target;
  }

  /** Resets every connection once; clients may connect again at once. */
  dropAll(): void {
    for (const connection of [...this.open]) connection.destroy();
  }

  /**
   * Half-open: while on, bytes vanish in both directions and sockets stay. Nothing that was swallowed comes back: after
   * `blackhole(false)` a connection in the midst of a frame is broken for good, as after a firewall forgot it.
   */
  blackhole(on: boolean): void {
    this.conditions.blackhole = on;
  }

  /**
   * Delays every byte, in each direction, without changing their order.
   *
   * @param ms the delay in milliseconds; 0: none
   * @param jitterMs up to this much more, at random
   */
  latency(ms: number, jitterMs = 0): void {
    this.conditions.latencyMs = ms;
    this.conditions.jitterMs = jitterMs;
  }

  /**
   * Limits each direction of each connection.
   *
   * @param bytesPerSecond undefined: no limit
   */
  throttle(bytesPerSecond: number | undefined): void {
    if (bytesPerSecond !== undefined && !(bytesPerSecond > 0))
      throw new RangeError('throttle() wants a positive number of bytes per second, or undefined.');
    this.conditions.bytesPerSecond = bytesPerSecond;
  }

  /**
   * Resets the connection over which the n-th byte from now goes in that direction, after this byte: in the midst of a
   * frame. Counted over all connections, once.
   */
  cutAfterBytes(direction: Direction, bytes: number): void {
    this.conditions.cutAfter[direction] = bytes;
  }

  /** Closes everything for good. */
  async close(): Promise<void> {
    this.closed = true;
    await this.cut();
  }

  /** @internal */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ port, host: '127.0.0.1' }, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    this.boundPort = (this.server.address() as AddressInfo).port;
  }

  private accept(client: Socket): void {
    // The kernel had accepted it before the proxy was cut.
    if (!this.server.listening) {
      client.on('error', () => undefined).destroy();
      return;
    }
    const server = new Socket({ allowHalfOpen: true });
    const connection = new ProxiedConnection(client, server, this.conditions, () => this.open.delete(connection));
    this.open.add(connection);
    server.connect(this.target);
  }
}
