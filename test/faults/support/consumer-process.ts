import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { connect, type Channel, type ChannelModel } from 'amqplib';
import { Pool } from 'pg';
import { HEADER } from '../../support/wire-headers';
import { createTestDatabase, type TestDatabase } from '../../support/database';
import { eventually } from '../../support/eventually';
import { startApp, type App } from '../../support/processes';
import { cleanQueues, rabbitmqUrl, uniquePrefix } from '../../support/rabbitmq';

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

export interface InboxRow {
  readonly event_id: string;
  readonly status: string;
  readonly attempts: number;
  readonly unfinished_starts: number;
  readonly reason: string | null;
  readonly history: readonly { reason: string }[];
  readonly due_in_ms: number | null;
}

/** The servers and names that consumer processes of one test file share, and what is seen of them from outside. */
export class ConsumerField {
  private readonly prefix = uniquePrefix();
  private readonly service = `${this.prefix}dock`;
  private readonly exchange = `${this.prefix}exchange`;
  private readonly receiptQueue = `${this.prefix}producer.receipts`;
  readonly queue = `${this.service}.load.arrived`;
  private readonly apps: App[] = [];
  private readonly receipts: Record<string, unknown>[] = [];

  private constructor(
    private readonly brokerUrl: string,
    private readonly database: TestDatabase,
    private readonly client: Pool,
    private readonly connection: ChannelModel,
    private readonly channel: Channel,
  ) {}

  /** @param brokerUrl of a broker that the test may change */
  static async create(brokerUrl = rabbitmqUrl()): Promise<ConsumerField> {
    const database = await createTestDatabase();
    const client = new Pool({ connectionString: database.url, max: 3 });
    await client.query('CREATE TABLE effect (event_id text NOT NULL, text text NOT NULL)');
    const connection = await connect(brokerUrl);
    const field = new ConsumerField(brokerUrl, database, client, connection, await connection.createChannel());
    await field.channel.assertQueue(field.receiptQueue, { exclusive: true });
    return field;
  }

  /** A consumer process, ready. It may die before it is: then it must say so by `DIE_AT`. */
  async start(choices: Choices = {}): Promise<App> {
    const env: ConsumerAppEnvironment = {
      AMQP_URL: this.brokerUrl,
      DATABASE_URL: this.database.url,
      SERVICE: this.service,
      EXCHANGE: this.exchange,
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
    this.channel.publish(this.exchange, 'load.arrived', body, {
      messageId,
      type: 'load.arrived',
      persistent: true,
      replyTo: this.receiptQueue,
      headers,
    });
    return messageId;
  }

  async inbox(): Promise<InboxRow[]> {
    const { rows } = await this.client.query<InboxRow>(
      `SELECT *, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 AS due_in_ms FROM reliable_mq_inbox ORDER BY received_at`,
    );
    return rows;
  }

  async row(eventId: string): Promise<InboxRow | undefined> {
    return (await this.inbox()).find(({ event_id }) => event_id === eventId);
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
    const { rows } = await this.client.query<{ event_id: string; count: number }>(
      'SELECT event_id, count(*)::int AS count FROM effect GROUP BY event_id',
    );
    return Object.fromEntries(rows.map(({ event_id, count }) => [event_id, count]));
  }

  /** Moves time on: all leases of dead processes are over. */
  async expireLeases(): Promise<void> {
    await this.client.query('UPDATE reliable_mq_inbox SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()');
  }

  /** Resolves when the queue holds nothing, neither ready nor with a consumer. */
  async drained(): Promise<void> {
    await eventually(async () => {
      expect((await this.channel.checkQueue(this.queue)).messageCount).toBe(0);
    });
  }

  /** Messages that no consumer holds. */
  async ready(): Promise<number> {
    return (await this.channel.checkQueue(this.queue)).messageCount;
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
    await this.connection.close();
    await this.client.end();
    await this.database.drop();
    const queues = [this.queue, `${this.service}.parked`, `${this.service}.receipts.quorum`];
    await cleanQueues(this.prefix, { queues, exchanges: [this.exchange] }, this.brokerUrl);
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
