import type { ChannelModel } from 'amqplib';

/** Where a connection goes, for reasons and logs. */
export interface Endpoint {
  /** With its password, if it has one: to be masked before anybody reads it. */
  readonly uri: string;
  readonly username: string;
}

/** What a connection tells of itself. */
export interface ConnectionEvents {
  opened(model: ChannelModel, endpoint: Endpoint): void;
  /** An attempt failed; there will be another one. */
  failed(error: unknown, endpoint: Endpoint): void;
  /** The open connection was lost. */
  lost(error: unknown): void;
  /** The broker began to block what is published on it, or (undefined) ended to. */
  blocked(reason: string | undefined): void;
}

/** A connection that comes back by itself: this library's own, or one that the application shares. */
export interface ConnectionSource {
  /** Begins to connect. Nothing is told before the next tick. */
  start(events: ConnectionEvents): void;
  /** Ends a connection that looks open and is dead, without asking the other side; it is made again later. */
  drop(): void;
  /** Bounded, whatever state the connection is in. */
  close(): Promise<void>;
}
