import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Channel } from 'amqplib';
import { HEADER } from '../../support/wire-headers';
import { createTestDatabase, type DatabaseName, type InboxRow, type TestDatabase } from '../../support/database';
import { eventually } from '../../support/eventually';
import { startApp, type App } from '../../support/processes';
import { rabbitmqUrl } from '../../support/rabbitmq';
import { TestBroker } from '../../support/test-broker';

/** What consumer-app.ts reads. */
export interface ConsumerAppEnvironment {
  readonly AMQP_URL: string;
  readonly DATABASE_URL: string;
  readonly SERVICE: string;
  readonly EXCHANGE: string;
  /** Name of the hook at which the process kills itself. */
  readonly DIE_AT?: string;
  /** Name of the hook at which the process stops itself, until somebody lets it go on. */
  readonly FREEZE_AT?: string;
  /** `yes`: messages that say `hang` do. */
  readonly MAY_HANG?: string;
  readonly TIMEOUT_MS?: string;
  readonly HEARTBEAT_SECONDS?: string;
  readonly DRAIN_MS?: string;
  /** `yes`: the handler takes several events at once. */
  readonly IN_BATCHES?: 'yes' | 'no';
  /** `next`: it handles version 2 as well. */
  readonly RELEASE?: 'present' | 'next';
}

type Choices = Pick<
  ConsumerAppEnvironment,
  'DIE_AT' | 'FREEZE_AT' | 'MAY_HANG' | 'TIMEOUT_MS' | 'HEARTBEAT_SECONDS' | 'DRAIN_MS' | 'IN_BATCHES' | 'RELEASE'
>;

export interface Step {
  readonly what: string;
  readonly eventId?: string;
  readonly messageId?: string;
  readonly attempt?: number;
}

/** The servers and names that consumer processes of one test file share, and what is seen of them from outside. */
export class ConsumerField {
  readonly queue: string;
  private readonly rabbitmq: TestBroker;
  private readonly service: string;
  private readonly receiptQueue: string;
  private channel!: Channel;
  private readonly apps: App[] = [];
  private readonly receipts: Record<string, unknown>[] = [];

  private constructor(
    private readonly brokerUrl: string,
    private readonly database: TestDatabase,
  ) {
    this.rabbitmq = new TestBroker([brokerUrl]);
    this.service = this.rabbitmq.service('dock', 'load.arrived');
    this.receiptQueue = `${this.rabbitmq.prefix}producer.receipts`;
    this.queue = `${this.service}.load.arrived`;
  }

  /** @param brokerUrl of a broker that the test may change */
  static create(brokerUrl = rabbitmqUrl()): Promise<ConsumerField> {
    return ConsumerField.on('postgres', brokerUrl);
  }

  static async on(database: DatabaseName, brokerUrl = rabbitmqUrl()): Promise<ConsumerField> {
    const field = new ConsumerField(brokerUrl, await createTestDatabase(database));
    await field.database.query('CREATE TABLE effect (event_id varchar(255) NOT NULL, text varchar(255) NOT NULL)');
    field.channel = await field.rabbitmq.channel();
    await field.channel.assertQueue(field.receiptQueue, { exclusive: true });
    return field;
  }

  /** A consumer process, ready. It may die before it is: then it must say so by `DIE_AT`. */
  async start(choices: Choices = {}): Promise<App> {
    const env: ConsumerAppEnvironment = {
      AMQP_URL: this.brokerUrl,
      DATABASE_URL: this.database.url,
      SERVICE: this.service,
      EXCHANGE: this.rabbitmq.exchange,
      ...choices,
    };
    const script = join(__dirname, 'consumer-app.ts');
    const app = await startApp({ script, env: { ...env }, ready: { line: /"what":"(ready|received)"/ } });
    this.apps.push(app);
    return app;
  }

  /** As one of our own producers sends it. @returns the event id */
  publish(text: string, version = 1): string {
    const messageId = randomUUID();
    const body = Buffer.from(JSON.stringify({ text }));
    const headers = { [HEADER.version]: version, [HEADER.source]: 'default' };
    this.channel.publish(this.rabbitmq.exchange, 'load.arrived', body, {
      messageId,
      type: 'load.arrived',
      persistent: true,
      replyTo: this.receiptQueue,
      headers,
    });
    return messageId;
  }

  inbox(): Promise<InboxRow[]> {
    return this.database.inbox();
  }

  async row(eventId: string): Promise<InboxRow | undefined> {
    return (await this.database.inbox({ id: eventId }))[0];
  }

  async settled(eventId: string, status: string): Promise<InboxRow> {
    return eventually(
      async () => {
        const row = await this.row(eventId);
        expect(row).toMatchObject({ status });
        return row as InboxRow;
      },
      { deadlineMs: 60_000 },
    );
  }

  /** How many effects each event has left. */
  async effects(): Promise<Record<string, number>> {
    const rows = await this.database.query<{ event_id: string; count: number }>(
      'SELECT event_id, count(*) AS count FROM effect GROUP BY event_id',
    );
    return Object.fromEntries(rows.map(({ event_id, count }) => [event_id, count]));
  }

  /** Moves time on: all leases of dead processes are over. */
  async expireLeases(): Promise<void> {
    await this.database.makeDue('inbox');
  }

  /** Resolves when the queue holds nothing, neither ready nor with a consumer. */
  async drained(): Promise<void> {
    await eventually(async () => {
      expect(await this.rabbitmq.waiting(this.queue)).toBe(0);
    });
  }

  /** Messages that no consumer holds. */
  ready(): Promise<number> {
    return this.rabbitmq.waiting(this.queue);
  }

  /** The receipt of this event and outcome, once it has come. */
  async receipt(eventId: string, outcome: string): Promise<Record<string, unknown>> {
    return eventually(async () => {
      const message = await this.channel.get(this.receiptQueue, { noAck: true });
      if (message) {
        const { receipts } = JSON.parse(message.content.toString()) as { receipts: Record<string, unknown>[] };
        this.receipts.push(...receipts);
      }
      return this.receipts.find((each) => each['eventId'] === eventId && each['outcome'] === outcome) ?? false;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.apps.map((app) => app.kill()));
    await this.database.drop();
    await this.rabbitmq.dispose();
  }
}

/** The steps that the process has said so far. */
export function stepsOf(app: App): Step[] {
  return app
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{"what"'))
    .map((line) => JSON.parse(line) as Step);
}
