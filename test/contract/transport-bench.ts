import type { QueueSpec, Transport } from '../../libs/reliable-mq/src/broker/transport';
import { available } from './transport-requests';

export interface TransportHarness {
  /** A transport of its own over a link that `goOffline` cuts; not started. */
  create(): Transport;
  goOffline(): Promise<void>;
  goOnline(): Promise<void>;
  /** A transport to a broker that can be told to block what publishes; not started. */
  createBlockable(): Promise<{ readonly transport: Transport; block(): Promise<void>; unblock(): Promise<void> }>;
  deleteQueue(queue: string): Promise<void>;
  purge(queue: string): Promise<void>;
  unbind(queue: string, routingKey: string): Promise<void>;
  /** How many messages wait in the queue. */
  waiting(queue: string): Promise<number>;
  /** Sends to the queue what no program of this library would send. */
  publishForeign(queue: string, body: Buffer, properties: Record<string, unknown>): Promise<void>;
  /** A name that no other file uses; the harness removes it from the broker at the end. */
  queueName(name: string): string;
  dispose(): Promise<void>;
}

/** A transport with a queue of its own for a test. Made before each file's tests, emptied after each test. */
export class TransportBench {
  readonly transports: Transport[] = [];
  private made: TransportHarness | undefined;
  private count = 0;

  get harness(): TransportHarness {
    if (!this.made) throw new Error('open() was not called');
    return this.made;
  }

  async open(createHarness: () => Promise<TransportHarness>): Promise<void> {
    this.made = await createHarness();
  }

  async closeTransports(): Promise<void> {
    await this.harness.goOnline();
    await Promise.all(this.transports.splice(0).map((transport) => transport.close()));
  }

  async started(transport = this.harness.create()): Promise<Transport> {
    this.transports.push(transport);
    await transport.start();
    await available(transport);
    return transport;
  }

  /** A queue, and an event type for its binding, that no other test uses. */
  eventsQueue(): { spec: QueueSpec; type: string } {
    this.count += 1;
    const name = this.harness.queueName(`q${this.count}`);
    const parkingQueue = this.harness.queueName(`q${this.count}.parking`);
    return { type: name, spec: { name, kind: 'events', bindings: [name], parkingQueue } };
  }

  /** The queue declared, and its consumer gone: messages stay. */
  async declared(transport: Transport): Promise<{ spec: QueueSpec; type: string }> {
    const made = this.eventsQueue();
    await (await transport.subscribe(made.spec, 1, () => undefined)).close();
    return made;
  }
}
