import type { EventHeaders } from '../event/message-headers';
import type { Backoff } from '../wait/backoff';
import type { Hooks } from '../event/hooks';
import type { ResolvedRabbitMqOptions } from '../broker/rabbitmq/resolved-rabbitmq-options';
import type { MemoryBroker } from '../broker/memory/memory-broker';

/** Injection token of the resolved options. */
export const RESOLVED_OPTIONS = Symbol('ReliableMq:ResolvedOptions');

/** The options as everything inside uses them: complete, validated, frozen. */
export interface ResolvedOptions {
  readonly service: string;
  readonly rabbitmq: ResolvedRabbitMqOptions;
  readonly transport: 'rabbitmq' | 'memory' | MemoryBroker;
  readonly schema: 'migrate' | 'verify';
  readonly record: { readonly maxPayloadBytes: number; readonly headers: (() => EventHeaders | undefined) | undefined };
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
    readonly waitForHandlerHours: number;
    readonly maxMessageBytes: number;
  };
  readonly compensation: {
    readonly enabled: boolean;
    readonly cron: string;
    /** In the place of `cron`. */
    readonly intervalMs: number | undefined;
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
  readonly hooks: readonly Partial<Hooks>[];
}
