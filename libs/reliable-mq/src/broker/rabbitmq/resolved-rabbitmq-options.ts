/** `rabbitmq` of the options as the transport uses it: complete and validated. */
export interface ResolvedRabbitMqOptions {
  /** At least one, unless the transport is in-memory. */
  readonly uris: readonly string[];
  readonly exchange: string;
  readonly heartbeatSeconds: number;
  readonly reconnectMs: number;
  readonly queueType: 'quorum' | 'classic';
}
