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
   * How full a queue is, and who takes from it. Never rejects.
   * @returns undefined when the broker cannot say in time, or is away
   */
  queueState(queue: string): Promise<QueueState>;

  /** Look through a queue message by message, without being its consumer. */
  read(queue: string): QueueReader;

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
  /** All properties, in the place of the ones above: a copy of somebody else's message. */
  readonly properties?: Readonly<Record<string, unknown>>;
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

/** What the broker says of a queue, or that there is none of that name; undefined: not known. */
export type QueueState = PresentQueue | 'no-queue' | undefined;

export interface PresentQueue {
  /** Messages that wait for a consumer, without those that consumers hold. */
  readonly messages: number;
  /** Consumers, of whatever program. */
  readonly consumers: number;
}

export interface QueueSpec {
  readonly name: string;
  /**
   * `events`: durable quorum queue, dead-letters to `parkingQueue`. `receipts`: durable quorum queue that drops its oldest messages
   * when it is full, no dead-lettering. `parking`: durable quorum queue for what nobody can handle. `existing`: whatever it is,
   * consumed if it is there when the connection is made, and never declared.
   */
  readonly kind: 'events' | 'receipts' | 'parking' | 'existing';
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
  /** All of them, also those that have no meaning here. */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly routingKey: string;
  /** True when the broker has delivered this message before, to anyone. */
  readonly redelivered: boolean;
}

/**
 * One delivered message. What is never acknowledged goes back when its subscription has ended and the transport closes, or its connection
 * is lost; there is no giving back of a single message, because a broker may deliver it again at once, without end and in front of
 * all others. Acknowledging twice, or after the connection was lost, does nothing: in the latter case it will come again.
 */
export interface Delivery {
  readonly message: IncomingMessage;
  ack(): void;
}

export interface QueueReader {
  /** Why no more is read although there may be more, for people: it may not be read, the broker does not answer. */
  readonly problem: string | undefined;
  /** Never rejects. @returns undefined when nothing waits in the queue, it does not exist, or there is a `problem` */
  next(): Promise<Delivery | undefined>;
  /** What was not acknowledged goes back, as delivered once more. Idempotent. */
  close(): Promise<void>;
}

export interface Subscription {
  /** Whether the broker delivers to it at present. Changes are told through the transport's `onStatus`. */
  status(): SubscriptionStatus;
  /** Take no more messages. What was delivered can still be acknowledged. Idempotent. */
  close(): Promise<void>;
}

export interface SubscriptionStatus {
  readonly consuming: boolean;
  /** Why not, for people. */
  readonly reason?: string;
}

/** Injection token of the application's transport. */
export const TRANSPORT = Symbol('ReliableMq:Transport');
