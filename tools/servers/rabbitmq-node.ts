import { connect, type Channel } from 'amqplib';

export interface QueueInfo {
  readonly name: string;
  /** Ready and unacknowledged. */
  readonly messages: number;
  readonly consumers: number;
  readonly type: string;
}

/** A private broker that can be broken in every way. Every method may be called twice. It does not outlive its process. */
export abstract class RabbitmqNode {
  /** `amqp://guest:guest@127.0.0.1:<port>`, the same over every restart. */
  abstract readonly url: string;
  abstract readonly port: number;
  abstract readonly nodeName: string;
  /** E.g. "RabbitMQ 3.10.8". */
  abstract readonly version: string;
  /** The Erlang machine; undefined while it is down. */
  abstract readonly pid: number | undefined;

  /** Starts it, or starts it again on the same data and port. Resolves when a client can connect. */
  abstract start(): Promise<void>;
  /** Closes the connections and stops. */
  abstract stop(): Promise<void>;
  /**
   * SIGKILL: what was not on disk is lost, clients see their sockets end. On 3.10 that takes along every quorum queue declared
   * in the last three minutes, with its confirmed messages, unless `syncQueueRegistry` was called since: see there.
   */
  abstract kill(): Promise<void>;
  /** Stops it and removes everything it left. */
  abstract dispose(): Promise<void>;
  abstract log(): string;
  /**
   * Runs `rabbitmqctl` against the node: about a second.
   *
   * @returns what it printed
   */
  abstract ctl(...args: string[]): Promise<string>;

  /** With the alarm on, the broker stops reading from every connection that publishes: `connection.blocked`. */
  async setMemoryAlarm(on: boolean): Promise<void> {
    await this.ctl('set_vm_memory_high_watermark', ...(on ? ['absolute', '1'] : ['0.4']));
  }

  async closeAllConnections(reason: string): Promise<void> {
    await this.ctl('close_all_connections', reason);
  }

  /**
   * Puts the registry of quorum queues on the disk. Ra keeps it in a dets table that Erlang writes by itself after three
   * minutes only. Seen on 3.10.8: killed before, the node comes back with the queue listed as running, but no process behind
   * it ("running pre init for 0 registered servers", `ra:members` says noproc), and operations on it hang.
   */
  async syncQueueRegistry(): Promise<void> {
    await this.ctl('eval', '[dets:sync(Table) || Table <- dets:all()].');
  }

  /** All of the default virtual host. Of quorum queues the broker renews the numbers every five seconds: see `countReady`. */
  async listQueues(): Promise<QueueInfo[]> {
    const output = await this.ctl(
      '--quiet',
      'list_queues',
      '--no-table-headers',
      'name',
      'messages',
      'consumers',
      'type',
    );
    return output
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => line.split('\t'))
      .map(([name = '', messages, consumers, type = '']) => ({
        name,
        messages: Number(messages),
        consumers: Number(consumers),
        type,
      }));
  }

  /** Messages ready for delivery, as of now. */
  async countReady(queue: string): Promise<number> {
    return this.withChannel(async (channel) => (await channel.checkQueue(queue)).messageCount);
  }

  async deleteQueue(queue: string): Promise<void> {
    await this.withChannel((channel) => channel.deleteQueue(queue));
  }

  /** Removes what is ready for delivery; what consumers hold stays. */
  async purgeQueue(queue: string): Promise<void> {
    await this.withChannel((channel) => channel.purgeQueue(queue));
  }

  async deleteExchange(exchange: string): Promise<void> {
    await this.withChannel((channel) => channel.deleteExchange(exchange));
  }

  async unbind(queue: string, exchange: string, routingKey: string): Promise<void> {
    await this.withChannel((channel) => channel.unbindQueue(queue, exchange, routingKey));
  }

  private async withChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const connection = await connect(this.url);
    try {
      return await work(await connection.createChannel());
    } finally {
      await connection.close();
    }
  }
}
