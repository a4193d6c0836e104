import type { Channel } from 'amqplib';
import { InvalidSetupError } from '../../event/errors';
import type { QueueSpec } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { queueArguments } from './queue-arguments';
import { closeChannel, replyCode, serverText } from './self-healing-channel';
import type { Log } from '../../log/log';

const PRECONDITION_FAILED = 406;

/**
 * Declares the exchange, the queues and their bindings. Each run has a channel of its own: the broker answers a declaration that
 * it can't fulfil by closing the channel, which must not end a consumer. On the consuming connection, because a blocked
 * publishing connection is not read.
 */
export class Topology {
  private readonly specs = new Map<string, QueueSpec>();
  private refreshing: Promise<void> | undefined;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly options: { readonly exchange: string; readonly queueType: 'quorum' | 'classic' },
    private readonly logger: Log,
  ) {}

  /** From now on `refresh` declares this queue too. */
  add(spec: QueueSpec): void {
    this.specs.set(spec.name, spec);
  }

  remove(spec: QueueSpec): void {
    if (this.specs.get(spec.name) === spec) this.specs.delete(spec.name);
  }

  /**
   * Declares one queue and what it needs.
   * @throws InvalidSetupError when something exists with other properties; amqplib's error when the broker could not be asked
   */
  async declare(spec: QueueSpec): Promise<void> {
    await this.onOwnChannel(async (channel) => {
      await this.assertExchange(channel);
      await this.assertQueueOf(channel, spec);
    });
  }

  /** Declares everything again. Calls during a run share it. Never rejects: what fails is logged, and tried at the next call. */
  refresh(): Promise<void> {
    return (this.refreshing ??= this.declareAll().finally(() => (this.refreshing = undefined)));
  }

  private async declareAll(): Promise<void> {
    if (!this.connection.model) return;
    const steps = [
      (channel: Channel) => this.assertExchange(channel),
      ...[...this.specs.values()].map((spec) => (channel: Channel) => this.assertQueueOf(channel, spec)),
    ];
    // A failed step has closed its channel: the rest goes on with a new one, as long as there is a connection.
    while (steps.length > 0 && this.connection.model) {
      const left = steps.length;
      try {
        await this.onOwnChannel(async (channel) => {
          for (let step = steps.shift(); step; step = steps.shift()) await step(channel);
        });
      } catch (error) {
        this.logger.warn('RabbitMQ topology could not be refreshed', { reason: problemText(error) });
      }
      // Not even a channel: the connection has ended, and is about to say so. Asking on would keep it from being heard for ever,
      // because rejections that come at once leave the event loop no turn.
      if (steps.length === left) return;
    }
  }

  private async assertExchange(channel: Channel): Promise<void> {
    const { exchange } = this.options;
    await explaining(
      `Exchange "${exchange}"`,
      'delete it, or choose another name with the option rabbitmq.exchange; it must be a durable topic exchange',
      () => channel.assertExchange(exchange, 'topic', { durable: true }),
    );
  }

  private async assertQueueOf(channel: Channel, spec: QueueSpec): Promise<void> {
    const { exchange } = this.options;
    if (spec.parkingQueue !== undefined) await this.assertQueue(channel, spec.parkingQueue, 'parking');
    await this.assertQueue(channel, spec.name, spec.kind, spec.parkingQueue);
    for (const key of spec.bindings) await channel.bindQueue(spec.name, exchange, key);
  }

  private async assertQueue(
    channel: Channel,
    name: string,
    kind: QueueSpec['kind'],
    parkingQueue?: string,
  ): Promise<void> {
    const options = { durable: true, arguments: queueArguments(kind, this.options.queueType, parkingQueue) };
    await explaining(
      `Queue "${name}"`,
      'consume or move what is in it and delete it, so that it is declared anew; if only its type differs, the option rabbitmq.queueType can name the present one',
      () => channel.assertQueue(name, options),
    );
  }

  private async onOwnChannel(work: (channel: Channel) => Promise<void>): Promise<void> {
    const model = this.connection.model;
    if (!model) throw new Error(this.connection.problem);
    const channel = await model.createChannel();
    channel.on('error', () => undefined); // the rejected call tells it
    try {
      await work(channel);
    } finally {
      void closeChannel(channel, 0);
    }
  }
}

/** Why a declaration or a consumer failed, for people. */
export function problemText(error: unknown): string {
  return error instanceof InvalidSetupError ? error.problems.join(' ') : serverText(error);
}

async function explaining(what: string, remedy: string, declare: () => Promise<unknown>): Promise<void> {
  try {
    await declare();
  } catch (error) {
    if (replyCode(error) !== PRECONDITION_FAILED) throw error;
    throw new InvalidSetupError([
      `${what} exists with other properties (${serverText(error)}). To mend it: ${remedy}.`,
    ]);
  }
}
