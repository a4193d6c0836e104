import type { Hooks } from '../event/hooks';
import type { EventHeaders } from '../event/message-headers';
import type { ConnectionOptions } from 'node:tls';
import type { MemoryBroker } from '../broker/memory/memory-broker';
import type { RabbitMqCredentials } from '../broker/rabbitmq/resolved-rabbitmq-options';
import type { SharedAmqpConnection } from '../broker/rabbitmq/shared-connection';

/** What a user may write: `ReliableMqModule.forRoot(options)`. Everything but `service` and `rabbitmq.uri` (or `rabbitmq.connection`) has a default. */
export interface ReliableMqOptions {
  /**
   * Stable name of this service, the same in all its instances: the default consumer name, the prefix of its queues and the
   * `appId` of its messages. Letters, digits, `_`, `-`, in words joined by dots. Renaming it starts new queues and a new
   * inbox identity, so events handled under the old name could be handled again.
   */
  readonly service: string;
  /** The broker. Required unless `transport` says otherwise. */
  readonly rabbitmq?: RabbitMqOptions;
  /**
   * `'rabbitmq'`; `'memory'` for tests and demos inside one process; or a `MemoryBroker` shared by several applications of one
   * process. The in-memory transport loses its messages with the process (the outbox sends them again).
   * @default 'rabbitmq'
   */
  readonly transport?: 'rabbitmq' | 'memory' | MemoryBroker;
  /**
   * `'migrate'` creates and upgrades the tables at boot, safe from several instances at once. `'verify'` only checks them and
   * refuses to start with the command that creates them: for databases where the application may not run DDL.
   * @default 'migrate'
   */
  readonly schema?: 'migrate' | 'verify';
  readonly record?: RecordOptions;
  readonly publish?: PublishOptions;
  readonly receipts?: ReceiptOptions;
  readonly consume?: ConsumeOptions;
  readonly compensation?: CompensationOptions;
  readonly retention?: RetentionOptions;
  readonly shutdown?: ShutdownOptions;
  /**
   * Functions called at the steps of an event's way, for metrics, tracing and alerts; several maps of them if several listen. What
   * one throws is logged and changes nothing, and none is awaited. A module that listens can add its own: inject `ReliableMqHooks`.
   */
  readonly hooks?: Partial<Hooks> | readonly Partial<Hooks>[];
}

export interface RabbitMqOptions {
  /**
   * `amqp://user:password@host:port/vhost` (`amqps://` with TLS), or several of one cluster, tried in turn. Passwords never reach a
   * log. Parameters: `heartbeat` (seconds), `channelMax`, `frameMax`, `locale`; any other one is refused. Required unless
   * `connection` is given.
   */
  readonly uri?: string | readonly string[];
  /**
   * For `amqps://`: certificates and what else Node's `tls.connect` takes. Without it the system's certificates are trusted, and the
   * host of the URI must be in the server's certificate.
   */
  readonly tls?: RabbitMqTls;
  /**
   * User and password apart from the URI, or a function that is asked for them at each attempt to connect, so that a password that
   * was changed needs no restart. A connection that is open stays open.
   */
  readonly credentials?: RabbitMqCredentials | (() => RabbitMqCredentials | Promise<RabbitMqCredentials>);
  /**
   * The `AmqpConnection` of `@golevelup/nestjs-rabbitmq` that the application has, in the place of `uri`, `tls` and `credentials`.
   * Publishing shares it, and it is never closed here. Consuming has a connection of its own to the same addresses, because an alarm
   * of the broker holds up whatever comes over a connection that publishes.
   */
  readonly connection?: SharedAmqpConnection;
  /**
   * The durable topic exchange that all services of one landscape share.
   * @default 'reliable-mq'
   */
  readonly exchange?: string;
  /**
   * Seconds between heartbeats. Lower finds a dead connection sooner and costs a frame each; a dead peer is noticed after about
   * two of them. Heartbeats can't be turned off: without them a half-open connection would look alive.
   * @default 10
   */
  readonly heartbeatSeconds?: number;
  /**
   * Milliseconds between attempts to connect. Too low hammers a starting broker, too high prolongs an outage by as much.
   * @default 1000
   */
  readonly reconnectMs?: number;
  /**
   * Type of the event queues. `'quorum'` survives the loss of a node. `'classic'` exists for brokers without quorum queues; a
   * queue's type can't be changed after it was declared.
   * @default 'quorum'
   */
  readonly queueType?: 'quorum' | 'classic';
  /**
   * Declares the event queues so that one consumer at a time takes from each, and another instance takes over when it ends: handlers run
   * in the order of the queue with `consume.prefetch: 1`, and more instances handle no more. Concerns queues that are declared anew; one
   * that was declared so by hand is used as it is. RabbitMQ knows no policy for it.
   * @default false
   */
  readonly singleActiveConsumer?: boolean;
  /**
   * `'declare'` makes the exchange, the queues and their bindings exist, and puts back what somebody has deleted. `'verify'` only looks
   * for exchange and queues and refuses to start with the commands that declare them: for users without the right to configure.
   * Bindings can't be looked for.
   * @default 'declare'
   */
  readonly topology?: 'declare' | 'verify';
}

/** The options of Node's `tls.connect` that a broker may ask for. Certificates and keys in PEM. */
export type RabbitMqTls = Pick<
  ConnectionOptions,
  | 'ca'
  | 'cert'
  | 'key'
  | 'passphrase'
  | 'pfx'
  | 'servername'
  | 'rejectUnauthorized'
  | 'checkServerIdentity'
  | 'ciphers'
  | 'minVersion'
  | 'maxVersion'
>;

export interface RecordOptions {
  /**
   * Largest payload, in bytes of UTF-8 JSON; a larger one is an error before the insert. Memory of the publish buffer is bounded
   * by `publish.bufferBytes`, whatever this says.
   * @default 1048576
   */
  readonly maxPayloadBytes?: number;
  /**
   * Headers of every event, such as a correlation id out of an `AsyncLocalStorage`; called whenever one is recorded. Headers that are given
   * with an event come over them. What it throws makes the recording fail, and with it the transaction.
   */
  readonly headers?: () => EventHeaders | undefined;
}

export interface PublishOptions {
  /**
   * How long a claimed row belongs to its claimer, in milliseconds. Too low: a slow broker makes two instances publish the same
   * event (harmless, but waste). Too high: events of a killed process wait that long for the compensation task.
   * @default 30000
   */
  readonly leaseMs?: number;
  /**
   * Messages handed to the broker and not yet confirmed. Throughput grows up to about 1000 and memory with it.
   * @default 1000
   */
  readonly windowSize?: number;
  /**
   * Events that wait in memory for their turn. When it is full, further events stay in the outbox, and the compensation task
   * publishes them once their lease has run out.
   * @default 10000
   */
  readonly bufferSize?: number;
  /**
   * Bytes of payload in that buffer, at most; as many may be unconfirmed, and as many are claimed at once, so that large events
   * take no more memory than small ones. Not below `record.maxPayloadBytes`, which the default gives way to.
   * @default 33554432
   */
  readonly bufferBytes?: number;
  /**
   * How long to wait for the broker's confirm, in milliseconds, before the attempt counts as not made. At most
   * half of `leaseMs`, which the default gives way to.
   * @default 10000
   */
  readonly confirmTimeoutMs?: number;
  /**
   * Attempts (refused, returned, or without a receipt in time) after which an event ends `dead`. Outages are not attempts.
   * With the default backoff, 25 attempts take about 15 hours; longer while a consumer is behind. `@ReliableEvent({ giveUp })` overrides it for one event type.
   * @default 25
   */
  readonly maxAttempts?: number;
  /**
   * Delays between those attempts.
   * @default { initialMs: 1000, maxMs: 3600000, jitter: 0.2 }
   */
  readonly backoff?: BackoffOptions;
}

export interface BackoffOptions {
  /** Delay after the first failed attempt, in milliseconds; it doubles with each further one. */
  readonly initialMs?: number;
  /** Longest delay, in milliseconds. */
  readonly maxMs?: number;
  /** Share of each delay that is random, 0 to 1, so that many retries do not come at one moment. */
  readonly jitter?: number;
}

export interface ReceiptOptions {
  /**
   * How long after publishing to wait for receipts, in milliseconds, before the event is published again to the consumers that
   * have not reported. Doubles with each chase, up to `publish.backoff.maxMs`. What may still wait in a declared consumer's queue
   * is left alone for ten times as long. Too low: consumers that are behind and not declared get duplicates; too high: a lost
   * message is found that late.
   * @default 60000
   */
  readonly chaseAfterMs?: number;
  /**
   * How long a consumer collects receipts before it sends them in one message, in milliseconds. 0 sends what is there at once.
   * @default 20
   */
  readonly coalesceMs?: number;
}

export interface ConsumeOptions {
  /**
   * Messages a handler may hold unsettled, and handle at once, per instance. Each needs a connection of the DataSource's pool
   * while it runs: the pool must have as many as all handlers' prefetch together and 5 more, or a warning at boot says so.
   * @default 10
   */
  readonly prefetch?: number;
  /**
   * Longest time one attempt may take, in milliseconds; then its transaction is rolled back, its slot freed, and the attempt
   * has failed. Too low fails slow work that would have succeeded; too high lets hanging handlers hold their slots that long, and
   * an attempt whose process died waits that long to be tried again.
   * @default 30000
   */
  readonly timeoutMs?: number;
  /**
   * Attempts after which a failing event is `dead` for this consumer.
   * @default 10
   */
  readonly maxAttempts?: number;
  /**
   * Delays between attempts.
   * @default { initialMs: 1000, maxMs: 600000, jitter: 0.2 }
   */
  readonly backoff?: BackoffOptions;
  /**
   * Attempts that were started and never finished (the process died) after which the event is `dead` for this consumer: the
   * message that kills its process is put aside. At least 3: what was delivered beside such a message may be started twice with
   * it before it runs alone.
   * @default 3
   */
  readonly maxUnfinishedStarts?: number;
  /**
   * How long an event waits whose version no handler here knows, in hours, until a release does: in the inbox, without an attempt. Then
   * it fails like any other. Below `retention.inboxHours`. 0: it fails at once.
   * @default 168
   */
  readonly waitForHandlerHours?: number;
  /**
   * Largest message body that is parsed, in bytes; a larger one is parked. Parsing blocks the process, about 10 ms per MiB.
   * @default 16777216
   */
  readonly maxMessageBytes?: number;
}

export interface CompensationOptions {
  /**
   * `false`: this instance schedules no jobs. At least one instance of each service must, or something must call
   * `CompensationTask.run()`, or nothing is repaired.
   * @default true
   */
  readonly enabled?: boolean;
  /**
   * When the compensation task runs: six fields, the first one seconds. Each run costs a few index lookups when there is nothing to do;
   * too rarely leaves events that long that a process died with. Each instance waits for a random part of a second, so that not all ask
   * the database at one moment. With ScheduleModule imported it is the cron job `reliable-mq:compensation` of its SchedulerRegistry.
   * @default CronExpression.EVERY_10_SECONDS
   */
  readonly cron?: string;
  /** In the place of `cron`: milliseconds between two runs, from the start of the process. */
  readonly intervalMs?: number;
  /**
   * Rows claimed by one statement.
   * @default 500
   */
  readonly batchSize?: number;
  /**
   * Longest time one run of a `@Compensate` method may take, in milliseconds; then its transaction is rolled back and it is
   * tried again later.
   * @default 30000
   */
  readonly timeoutMs?: number;
  /**
   * Delays between attempts of a `@Compensate` method; it is tried until it commits.
   * @default { initialMs: 1000, maxMs: 600000, jitter: 0.2 }
   */
  readonly backoff?: BackoffOptions;
}

export interface RetentionOptions {
  /**
   * Hours that ended events (`consumed`, or `published` without confirmation) stay in the outbox. `dead` ones stay until a
   * person redrives or discards them.
   * @default 72
   */
  readonly outboxHours?: number;
  /**
   * Hours that handled, rejected and dead rows stay in the inbox. It is the window in which a duplicate is recognised, so it must
   * be longer than any event can be retried: boot fails when it is not.
   * @default 336
   */
  readonly inboxHours?: number;
  /**
   * Milliseconds between two prunings.
   * @default 60000
   */
  readonly pruneIntervalMs?: number;
  /**
   * Rows deleted by one statement: small enough that no lock is held for long.
   * @default 1000
   */
  readonly pruneBatchSize?: number;
}

export interface ShutdownOptions {
  /**
   * How long a stopping process finishes what it holds, in milliseconds; the rest is released for others. Keep it below the
   * grace period of whatever stops the process (Kubernetes: 30 s).
   * @default 10000
   */
  readonly drainMs?: number;
}
