import type { ChannelModel } from 'amqplib';
import type { ConnectionEvents, ConnectionSource, Endpoint } from './connection-source';

/** What its manager tells: `connect` and `connectFailed` have a `url`, `connectFailed` and `disconnect` an `err`, `blocked` a `reason`. */
export interface ManagerEvent {
  readonly url?: unknown;
  readonly err?: unknown;
  readonly reason?: string;
}

/** What an `AmqpConnection` of @golevelup/nestjs-rabbitmq has, as far as it is used here. */
export interface SharedAmqpConnection {
  /** Its `AmqpConnectionManager` of amqp-connection-manager. */
  readonly managedConnection: {
    readonly connection: unknown;
    on(event: string, listener: (event: ManagerEvent) => void): unknown;
    removeListener(event: string, listener: (event: ManagerEvent) => void): unknown;
  };
  readonly configuration: { readonly uri: unknown; readonly connectionManagerOptions?: unknown };
}

/** A connection that the application owns: used while it is there, never closed, and reconnected by its owner alone. */
export class SharedConnection implements ConnectionSource {
  private stopListening: () => void = () => undefined;

  constructor(private readonly shared: SharedAmqpConnection) {}

  start(events: ConnectionEvents): void {
    const manager = this.shared.managedConnection;
    const listeners: Readonly<Record<string, (event: ManagerEvent) => void>> = {
      connect: ({ url }) => events.opened(manager.connection as ChannelModel, endpointOf(url)),
      connectFailed: ({ err, url }) => events.failed(err, endpointOf(url)),
      disconnect: ({ err }) => events.lost(err),
      blocked: ({ reason }) => events.blocked(reason || 'no reason given'),
      unblocked: () => events.blocked(undefined),
    };
    for (const [event, listener] of Object.entries(listeners)) manager.on(event, listener);
    this.stopListening = () => {
      for (const [event, listener] of Object.entries(listeners)) manager.removeListener(event, listener);
      this.stopListening = () => undefined;
    };
    const [firstUri = ''] = sharedUris(this.shared);
    setImmediate(() => {
      if (manager.connection) events.opened(manager.connection as ChannelModel, endpointOf(firstUri));
    });
  }

  /** Left to the owner's heartbeats: others have work on it. */
  drop(): void {
    return undefined;
  }

  async close(): Promise<void> {
    this.stopListening();
  }
}

/** The URIs that the owner connects to. */
export function sharedUris({ configuration: { uri } }: SharedAmqpConnection): string[] {
  return (Array.isArray(uri) ? (uri as unknown[]) : [uri]).map(uriOf);
}

/** The options that the owner gives the sockets: certificates, for example. */
export function sharedSocketOptions({ configuration }: SharedAmqpConnection): object {
  const { connectionOptions } = (configuration.connectionManagerOptions ?? {}) as { connectionOptions?: object };
  return connectionOptions ?? {};
}

function endpointOf(url: unknown): Endpoint {
  const uri = uriOf(url);
  const username = URL.canParse(uri) ? decodeURIComponent(new URL(uri).username) : '';
  return { uri, username: username || 'guest' };
}

/** amqplib takes a URI as its parts, too. */
function uriOf(url: unknown): string {
  if (typeof url === 'string') return url;
  const { protocol, hostname, port, username, password, vhost } = (url ?? {}) as Readonly<
    Record<string, string | number | undefined>
  >;
  const encoded = (part: string | number | undefined): string => encodeURIComponent(String(part ?? ''));
  const user = username === undefined ? '' : `${encoded(username)}:${encoded(password)}@`;
  const path = vhost === undefined || vhost === '/' ? '' : `/${encoded(vhost)}`;
  return `${protocol ?? 'amqp'}://${user}${hostname ?? 'localhost'}${port === undefined ? '' : `:${port}`}${path}`;
}
