import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { SharedAmqpConnection } from './shared-connection';

export interface RabbitMqCredentials {
  readonly username: string;
  readonly password: string;
}

/** `rabbitmq` of the options as the transport uses it: complete and validated. */
export interface ResolvedRabbitMqOptions {
  /** At least one, unless the transport is in-memory or the application shares its connection. */
  readonly uris: readonly string[];
  readonly tls: TlsOptions | undefined;
  /** Asked at each attempt to connect. */
  readonly credentials: (() => RabbitMqCredentials | Promise<RabbitMqCredentials>) | undefined;
  /** The application's own connection, in the place of `uris`. */
  readonly connection: SharedAmqpConnection | undefined;
  readonly exchange: string;
  readonly heartbeatSeconds: number;
  readonly reconnectMs: number;
  readonly queueType: 'quorum' | 'classic';
  readonly singleActiveConsumer: boolean;
  readonly topology: 'declare' | 'verify';
}
