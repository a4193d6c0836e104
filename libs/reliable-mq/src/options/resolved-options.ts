import type { Backoff } from '../domain/backoff';
import type { Hooks } from '../domain/hooks';
import type { MemoryBroker } from '../transport/memory/memory-broker';

/** Injection token of the resolved options. */
export const RESOLVED_OPTIONS = Symbol('ReliableMq:ResolvedOptions');

/** The options as everything inside uses them: complete, validated, frozen. */
export interface ResolvedOptions {
  readonly service: string;
  readonly rabbitmq: ResolvedRabbitMqOptions;
  readonly transport: 'rabbitmq' | 'memory' | MemoryBroker;
  readonly schema: 'migrate' | 'verify';
  readonly record: { readonly maxPayloadBytes: number };
  readonly publish: {
    readonly leaseMs: number;
    readonly windowSize: number;
    readonly bufferSize: number;
    readonly bufferBytes: number;
    readonly confirmTimeoutMs: number;
    readonly maxAttempts: number;
    readonly backoff: Backoff;
  };
  readonly receipts: { readonly chaseAfterMs: number; readonly coalesceMs: number };
  readonly consume: {
    readonly prefetch: number;
    readonly timeoutMs: number;
    readonly maxAttempts: number;
    readonly backoff: Backoff;
    readonly maxUnfinishedStarts: number;
    readonly maxMessageBytes: number;
  };
  readonly compensation: {
    readonly enabled: boolean;
    readonly intervalMs: number;
    readonly batchSize: number;
    readonly timeoutMs: number;
    readonly backoff: Backoff;
  };
  readonly retention: {
    readonly outboxHours: number;
    readonly inboxHours: number;
    readonly pruneIntervalMs: number;
    readonly pruneBatchSize: number;
  };
  readonly shutdown: { readonly drainMs: number };
  readonly hooks: Partial<Hooks>;
}

export interface ResolvedRabbitMqOptions {
  /** At least one, unless the transport is in-memory. */
  readonly uris: readonly string[];
  readonly exchange: string;
  readonly heartbeatSeconds: number;
  readonly reconnectMs: number;
  readonly queueType: 'quorum' | 'classic';
}
