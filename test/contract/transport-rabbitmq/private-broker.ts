import type { RabbitMqTransport } from '../../../libs/reliable-mq/src/broker/rabbitmq/rabbitmq-transport';
import type { PublishOutcome, QueueSpec, Transport } from '../../../libs/reliable-mq/src/broker/transport';
import { startRabbitmq, type RabbitmqNode } from '../../../tools/servers/rabbitmq';
import { RabbitMqHarness, createTransport, type TransportSettings } from '../transport-rabbitmq-harness';
import { available, message } from '../transport-requests';

export const MAX_MESSAGE_BYTES = 200_000;

/** How publishing without end has gone so far. */
export interface Load {
  readonly outcomes: ReadonlyMap<string, number>;
  /** Ids of what the broker has confirmed. */
  routed(): string[];
  /** Resolves when what is under way has ended. */
  stop(): Promise<void>;
}

/** A RabbitMQ that the suites of one file share, and break in whatever way; each leaves it as it was. */
export class PrivateBroker {
  private readonly transports: Transport[] = [];
  private count = 0;

  private constructor(
    readonly node: RabbitmqNode,
    /** Behind a proxy. */
    readonly harness: RabbitMqHarness,
  ) {}

  static async start(): Promise<PrivateBroker> {
    const node = await startRabbitmq({ config: { max_message_size: String(MAX_MESSAGE_BYTES) } });
    await node.ctl('add_user', 'limited', 'limited');
    return new PrivateBroker(node, await RabbitMqHarness.open(node.url));
  }

  /** A transport by way of the proxy. */
  async started(settings: TransportSettings = {}): Promise<RabbitMqTransport> {
    const transport = this.closing(this.harness.create(settings));
    await transport.start();
    await available(transport);
    return transport;
  }

  /** A transport straight to the broker; it may not be available. */
  async startedAt(uri: string | readonly string[], settings: TransportSettings = {}): Promise<RabbitMqTransport> {
    const transport = this.closing(createTransport(uri, { exchange: this.harness.exchange, ...settings }));
    await transport.start();
    return transport;
  }

  /** Lets it be closed after the test. */
  closing<T extends Transport>(transport: T): T {
    this.transports.push(transport);
    return transport;
  }

  /** The broker's url for a user whose rights and limits a test sets. */
  asLimited(): string {
    const url = new URL(this.node.url);
    url.username = url.password = 'limited';
    return url.href;
  }

  eventsQueue(): { spec: QueueSpec; type: string } {
    const name = this.harness.queueName(`f${(this.count += 1)}`);
    const parkingQueue = this.harness.queueName(`f${this.count}.parking`);
    return { type: name, spec: { name, kind: 'events', bindings: [name], parkingQueue } };
  }

  /** The queue declared, and its consumer gone: messages stay. */
  async declared(transport: Transport): Promise<{ spec: QueueSpec; type: string }> {
    const made = this.eventsQueue();
    await (await transport.subscribe(made.spec, 1, () => undefined)).close();
    return made;
  }

  async afterEachTest(): Promise<void> {
    this.harness.proxy.blackhole(false);
    await this.harness.goOnline();
    await Promise.all(this.transports.splice(0).map((transport) => transport.close()));
  }

  async dispose(): Promise<void> {
    await this.harness.dispose();
    await this.node.dispose();
  }
}

/** Publishes in a window of 100 until it is stopped. */
export function load(transport: Transport, type: string): Load {
  const outcomes = new Map<string, number>();
  const routed: string[] = [];
  let open = 0;
  let sent = 0;
  let stopped = false;
  let finished: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (finished = resolve));
  const next = (): void => {
    while (!stopped && open < 100) {
      open += 1;
      const messageId = String((sent += 1));
      let answered = false;
      transport.publish(message({ routingKey: type }, { messageId }), ({ status }) => {
        if (answered) throw new Error(`message ${messageId} was answered twice`);
        answered = true;
        open -= 1;
        outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
        if (status === 'routed') routed.push(messageId);
        next();
        if (stopped && open === 0) finished();
      });
    }
  };
  next();
  return {
    outcomes,
    routed: () => routed,
    stop: () => {
      stopped = true;
      return open === 0 ? Promise.resolve() : ended;
    },
  };
}

export function countOf({ outcomes }: Load, status: PublishOutcome['status']): number {
  return outcomes.get(status) ?? 0;
}

/** Longer than any bounded step of closing, far below what TCP would take. In milliseconds. */
export const CLOSES_WITHIN_MS = 6_000;

/** Fails when it takes longer. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await promise;
  expect(performance.now() - began).toBeLessThan(ms);
  return result;
}
