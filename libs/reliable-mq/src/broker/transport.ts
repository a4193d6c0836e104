/**
 * The seam between this library and a broker. Two implementations: RabbitMQ, and in-memory; one contract suite for both
 * (test/contract/transport.contract.ts).
 */
export interface Transport {
  readonly kind: 'rabbitmq' | 'memory';

  /** Begin to connect, and go on reconnecting by itself. Resolves at once: an absent broker is a status, not an error. */
  start(): Promise<void>;

  /** The present state. `available: false` means that publishing now would end `unavailable`. */
  status(): TransportStatus;

  /** Call the listener at each change of `status()`. Returns the function that removes it. */
  onStatus(listener: (status: TransportStatus) => void): () => void;

  /**
   * Hand a message to the broker, persistent, confirmed and `mandatory`. `done` is called exactly once, never
   * synchronously, and never later than `confirmTimeoutMs` after the call, whatever happens to the connection.
   */
  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void;

  /**
   * Hand a message to the broker without confirm, persistence or `mandatory` (receipts: a lost one is chased).
   * Returns false, having dropped the message, when the broker is unavailable or the socket's buffer is full.
   */
  send(message: OutgoingMessage): boolean;

  /**
   * Declare the queue (and what it needs) and deliver its messages, at most `prefetch` unsettled ones at a time. Survives
   * reconnects, a deleted queue and a cancelled consumer by declaring and consuming again. Resolves when the subscription
   * is registered, whether or not the broker is there.
   * @throws InvalidSetupError when the queue exists with other properties
   */
  subscribe(queue: QueueSpec, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Subscription>;

  /**
   * How many messages wait in a queue for a consumer, without those that consumers hold. Never rejects.
   * @returns undefined when the broker cannot say in time, or is away
   */
  messagesWaiting(queue: string): Promise<QueueDepth>;

  /** Declare everything again that this process has declared: puts back a removed binding or a deleted exchange. */
  refreshTopology(): Promise<void>;

  /** Stop: in-flight publishes end `unavailable`, unsettled deliveries go back to the broker. Idempotent. */
  close(): Promise<void>;
}

export interface TransportStatus {
  readonly available: boolean;
  /**
   * Why not, for people: "not connected to amqp://…: connect ECONNREFUSED", "blocked by the broker: low on memory". While
   * available: what else is wrong ("queue … is not consumed: …"), or undefined when nothing is.
   */
  readonly reason?: string;
}

/** Where a message goes: through the exchange by its type, or straight to one queue. */
export type MessageTarget = { readonly routingKey: string } | { readonly queue: string };

export interface OutgoingMessage {
  readonly target: MessageTarget;
  /** AMQP `messageId`: the event id. */
  readonly messageId: string;
  /** AMQP `type`: the event type. */
  readonly type: string;
  /** UTF-8 JSON. */
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string | number | boolean>>;
  /** Name of the queue that receives the receipts. */
  readonly replyTo?: string;
  /** AMQP `appId`: the publishing service. */
  readonly appId?: string;
}

/**
 * How publishing one message ended.
 * - `routed`: confirmed, and at least one queue has it
 * - `unroutable`: the broker returned it, no queue is bound
 * - `refused`: the broker said no to this message (nack, or it closed the channel because of it)
 * - `unavailable`: the broker could not be asked; says nothing about the message, and counts no attempt
 */
export type PublishOutcome =
  | { readonly status: 'routed' }
  | { readonly status: 'unroutable' | 'refused' | 'unavailable'; readonly reason: string };

/** Number of messages that wait in a queue, or that there is no such queue; undefined: not known. */
export type QueueDepth = number | 'no-queue' | undefined;

export interface QueueSpec {
  readonly name: string;
  /**
   * `events`: durable quorum queue, dead-letters to `parkingQueue`. `receipts`: durable classic queue, no dead-lettering.
   * `parking`: durable quorum queue for what nobody can handle.
   */
  readonly kind: 'events' | 'receipts' | 'parking';
  /** Routing keys (event types) that bind it to the exchange. */
  readonly bindings: readonly string[];
  /** For `events`: name of the queue, declared too, that takes dead-lettered messages. */
  readonly parkingQueue?: string;
}

export interface IncomingMessage {
  readonly queue: string;
  readonly body: Buffer;
  /** The properties as they came: a foreign publisher may have sent anything, so nothing is guaranteed but the type. */
  readonly messageId: string | undefined;
  readonly type: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly replyTo: string | undefined;
  readonly appId: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly routingKey: string;
  /** True when the broker has delivered this message before, to anyone. */
  readonly redelivered: boolean;
}

/** One delivered message; settle it exactly once. Settling after the connection was lost does nothing: it will come again. */
export interface Delivery {
  readonly message: IncomingMessage;
  ack(): void;
  /** Back to the queue, for another delivery. */
  requeue(): void;
}

export interface Subscription {
  /** Take no more messages; unsettled deliveries can still be settled. Idempotent. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Pause for good. Undelivered messages stay in the queue; unsettled ones go back when the transport closes. */
  close(): Promise<void>;
}

/** Injection token of the application's transport. */
export const TRANSPORT = Symbol('ReliableMq:Transport');
