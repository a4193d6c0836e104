import { InvalidSetupError } from '../../event/errors';
import type { RawMessage } from '../incoming-message';
import type { MessageTarget, QueueSpec } from '../transport';
import { MemoryQueue } from './memory-queue';

/** A message as `messages` shows it and `publish` takes it; any property may have any type, as on a real broker. */
export interface MemoryMessage {
  readonly body: Buffer;
  /** AMQP's names: `messageId`, `type`, `contentType`, `replyTo`, `appId`, `headers`, … */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A transport that is connected to the broker. */
export interface MemoryClient {
  brokerChanged(): void;
}

/**
 * A broker inside the process, for tests and demos: queues, bindings, prefetch, redelivery, returned messages and outages as
 * RabbitMQ has them, nothing durable. Give one instance to several modules (`transport: broker`) and they talk to each other.
 */
export class MemoryBroker {
  private readonly queues = new Map<string, MemoryQueue>();
  /** Names of the queues by routing key. */
  private readonly bindings = new Map<string, Set<string>>();
  private readonly clients = new Set<MemoryClient>();
  private offline: string | undefined;
  private blocked: string | undefined;

  /** Every connection is lost, and none can be made. Queues and messages stay; unsettled deliveries go back to them. */
  goOffline(reason = 'the in-memory broker is offline'): void {
    this.offline = reason;
    this.tellClients();
  }

  goOnline(): void {
    this.offline = undefined;
    this.tellClients();
  }

  /** As a memory or disk alarm does: nothing can be published, consuming goes on. */
  block(reason = 'low on memory'): void {
    this.blocked = reason;
    this.tellClients();
  }

  unblock(): void {
    this.blocked = undefined;
    this.tellClients();
  }

  queueNames(): string[] {
    return [...this.queues.keys()];
  }

  /** What waits in the queue, oldest first, without what consumers hold. Empty for a queue that does not exist. */
  messages(queue: string): MemoryMessage[] {
    return (this.queues.get(queue)?.waiting() ?? []).map(({ raw: { body, properties } }) => ({ body, properties }));
  }

  /** Removes what waits in the queue. @returns how many messages that were */
  purge(queue: string): number {
    return this.queues.get(queue)?.purge() ?? 0;
  }

  /** Deletes the queue with all its messages and bindings. Its consumers are told, and declare it again. */
  deleteQueue(queue: string): void {
    const deleted = this.queues.get(queue);
    this.queues.delete(queue);
    for (const names of this.bindings.values()) names.delete(queue);
    deleted?.delete();
  }

  /** Removes one binding. `refreshTopology` of the transport that declared it puts it back. */
  unbind(queue: string, routingKey: string): void {
    this.bindings.get(routingKey)?.delete(queue);
  }

  /** Publishes whatever a foreign program might. @returns how many queues have it now */
  publish(target: MessageTarget, message: Partial<MemoryMessage> = {}): number {
    return this.route(target, message.body ?? Buffer.alloc(0), message.properties ?? {});
  }

  /**
   * Dead-letters what waits in the queue, as RabbitMQ does by a policy of its operator: it goes to the parking queue, with the broker's
   * `x-death` header.
   * @param reason in RabbitMQ's words: `expired`, `delivery_limit`, `maxlen`, `rejected`
   * @returns how many messages that were
   */
  deadLetter(queue: string, reason = 'expired'): number {
    const messages = this.queues.get(queue)?.waiting() ?? [];
    const parkingQueue = this.queues.get(queue)?.spec.parkingQueue;
    this.purge(queue);
    for (const { raw } of messages) {
      const { headers, expiration, ...properties } = raw.properties;
      const before = (headers ?? {}) as Readonly<Record<string, unknown>>;
      const death = {
        count: 1,
        reason,
        queue,
        time: { '!': 'timestamp', value: Math.floor(Date.now() / 1000) },
        'routing-keys': [raw.routingKey],
        ...(expiration !== undefined && { 'original-expiration': expiration }),
      };
      const earlier = Array.isArray(before['x-death']) ? (before['x-death'] as unknown[]) : [];
      if (parkingQueue === undefined) continue;
      this.route({ queue: parkingQueue }, raw.body, {
        ...properties,
        headers: { ...before, 'x-death': [death, ...earlier] },
      });
    }
    return messages.length;
  }

  /** @internal Why nobody is connected. */
  get offlineReason(): string | undefined {
    return this.offline;
  }

  /** @internal Why nothing can be published. */
  get blockedReason(): string | undefined {
    return this.blocked;
  }

  /** @internal */
  connect(client: MemoryClient): void {
    this.clients.add(client);
  }

  /** @internal */
  disconnect(client: MemoryClient): void {
    this.clients.delete(client);
  }

  /**
   * @internal Makes the queue and its bindings exist.
   * @throws InvalidSetupError when the queue exists with other properties
   */
  declare(spec: QueueSpec): MemoryQueue {
    if (spec.parkingQueue !== undefined) this.declareQueue({ name: spec.parkingQueue, kind: 'parking' });
    const queue = this.declareQueue(spec);
    for (const key of spec.bindings) this.queuesBoundTo(key).add(spec.name);
    return queue;
  }

  /** @internal The queue of that name, if there is one. */
  find(name: string): MemoryQueue | undefined {
    return this.queues.get(name);
  }

  /** @internal Puts a copy into each queue that the target names or is bound to. @returns how many */
  route(target: MessageTarget, body: Buffer, properties: Readonly<Record<string, unknown>>): number {
    const routingKey = 'queue' in target ? target.queue : target.routingKey;
    const names = 'queue' in target ? [target.queue] : [...(this.bindings.get(routingKey) ?? [])];
    const queues = names.map((name) => this.queues.get(name)).filter((queue) => queue !== undefined);
    // Copied, because the sender may use its buffer again, as it may after a write to a socket.
    const raw: RawMessage = { body: Buffer.from(body), properties, routingKey };
    for (const queue of queues) queue.push(raw);
    return queues.length;
  }

  private declareQueue(spec: Pick<QueueSpec, 'name' | 'kind' | 'parkingQueue'>): MemoryQueue {
    const existing = this.queues.get(spec.name);
    if (!existing) {
      const queue = new MemoryQueue(spec);
      this.queues.set(spec.name, queue);
      return queue;
    }
    const { kind, parkingQueue } = existing.spec;
    if (kind !== spec.kind || parkingQueue !== spec.parkingQueue) {
      throw new InvalidSetupError([
        `Queue "${spec.name}" exists with other properties (kind ${kind}, parking queue ${parkingQueue ?? 'none'}; wanted: kind ${spec.kind}, ` +
          `parking queue ${spec.parkingQueue ?? 'none'}). To mend it: choose another name, or delete it.`,
      ]);
    }
    return existing;
  }

  private queuesBoundTo(key: string): Set<string> {
    const names = this.bindings.get(key) ?? new Set();
    this.bindings.set(key, names);
    return names;
  }

  private tellClients(): void {
    for (const client of [...this.clients]) client.brokerChanged();
  }
}
