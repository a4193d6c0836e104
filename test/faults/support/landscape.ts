import { join } from 'node:path';
import { connect, type Channel, type ChannelModel } from 'amqplib';
import type { Provider, Type } from '@nestjs/common';
import type { Hooks, ReliableMqOptions } from 'nestjs-reliable-mq';
import { Client } from 'pg';
import { createTestDatabase, type TestDatabase } from '../../support/database';
import { eventually } from '../../support/eventually';
import { type App, startApp } from '../../support/processes';
import { cleanQueues, rabbitmqUrl, uniquePrefix } from '../../support/rabbitmq';
import { QUICK, type ReliableApp, startReliableApp } from '../../support/reliable-app';
import { Effect, OrderService, PlacedOrder, StockService } from './order-service';

const ENTITIES = [PlacedOrder, Effect];

/** Short leases and intervals: what takes minutes in production takes a second here. */
const SHORT: Partial<ReliableMqOptions> = {
  ...QUICK,
  compensation: { ...QUICK.compensation, intervalMs: 100 },
  publish: { ...QUICK.publish, leaseMs: 2000, confirmTimeoutMs: 1000 },
};

export interface OutboxRow {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly reason: string | null;
  readonly outcomes: Readonly<Record<string, { outcome: string }>>;
  readonly history: readonly { attempt: number; reason: string }[];
  readonly due_at: Date | null;
  readonly published_at: Date | null;
  readonly claim_token: string | null;
}

/** At which step of the event's way a process of its own ends or freezes itself. */
export interface Fault {
  readonly at: keyof Hooks;
  /** @default SIGKILL */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
  /** It says its spans, one a line. */
  readonly isTraced?: true;
}

/** An order service and a stock service on one broker and one database, for a fault to happen to. */
export class Landscape {
  readonly prefix = uniquePrefix();
  readonly exchange = `${this.prefix}exchange`;
  readonly shopService = `${this.prefix}shop`;
  readonly stockService = `${this.prefix}stock`;
  readonly queue = `${this.stockService}.order.placed`;
  readonly receiptQueue = `${this.shopService}.receipts.quorum`;
  private readonly apps: ReliableApp[] = [];
  private readonly processes: App[] = [];
  private readonly releases: (() => Promise<void>)[] = [];

  private constructor(
    readonly database: TestDatabase,
    private readonly client: Client,
    private readonly brokerUrls: readonly string[],
  ) {}

  /** @param brokerUrls of one broker, or of a cluster's nodes */
  static async create(brokerUrls: string | readonly string[] = rabbitmqUrl()): Promise<Landscape> {
    const database = await createTestDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    return new Landscape(database, client, [brokerUrls].flat());
  }

  /** The order service in this process. */
  shop(
    options: Partial<ReliableMqOptions> = {},
    providers: readonly Provider[] = [OrderService],
  ): Promise<ReliableApp> {
    return this.start(this.shopService, { consumer: false }, options, providers);
  }

  /** The stock service in this process. */
  stock(options: Partial<ReliableMqOptions> = {}, imports: readonly Type[] = []): Promise<ReliableApp> {
    return this.start(this.stockService, { producer: false }, options, [StockService], imports);
  }

  /** Let the stock service's queue exist, with nobody who takes from it. */
  async declareStockQueue(): Promise<void> {
    const stock = await this.stock();
    await this.close(stock);
  }

  /** The order service in a process of its own, which records events and comes to its fault. */
  async shopProcess(fault: Fault, events = 1, options: Partial<ReliableMqOptions> = {}): Promise<App> {
    const app = await startApp({
      script: join(__dirname, 'shop.process.ts'),
      env: {
        SHOP_DATABASE_URL: this.database.url,
        SHOP_OPTIONS: JSON.stringify(this.options(this.shopService, options)),
        SHOP_EVENTS: String(events),
        SHOP_FAULT: fault.at,
        SHOP_FAULT_SIGNAL: fault.signal ?? 'SIGKILL',
        SHOP_TRACED: fault.isTraced ? 'yes' : 'no',
      },
    });
    this.processes.push(app);
    return app;
  }

  async close(app: ReliableApp): Promise<void> {
    this.apps.splice(this.apps.indexOf(app), 1);
    await app.close();
  }

  async rows(): Promise<OutboxRow[]> {
    return this.query<OutboxRow>('SELECT * FROM reliable_mq_outbox ORDER BY id');
  }

  async row(): Promise<OutboxRow> {
    const [row, ...others] = await this.rows();
    if (!row || others.length > 0) throw new Error(`expected one row, found ${others.length + (row ? 1 : 0)}`);
    return row;
  }

  /** Business rows that handlers have committed. */
  effects(): Promise<{ orderId: string; kind: string }[]> {
    return this.query('SELECT "orderId", kind FROM effect');
  }

  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return (await this.client.query(sql, [...parameters])).rows as Row[];
  }

  async messageCount(queue: string): Promise<number> {
    return this.onChannel(async (channel) => (await channel.checkQueue(queue)).messageCount);
  }

  purge(queue: string): Promise<unknown> {
    return this.onChannel((channel) => channel.purgeQueue(queue));
  }

  deleteQueue(queue: string): Promise<unknown> {
    return this.onChannel((channel) => channel.deleteQueue(queue));
  }

  /** Declares a queue that only a connection of its own may use, so that an application can't. */
  async takeQueueName(queue: string): Promise<{ release(): Promise<void> }> {
    const connection = await connect(this.brokerUrls[0] as string);
    const channel = await connection.createChannel();
    await channel.assertQueue(queue, { exclusive: true });
    let isOpen = true;
    const release = async (): Promise<void> => {
      if (isOpen) await connection.close();
      isOpen = false;
    };
    this.releases.push(release);
    return { release };
  }

  async onChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const connection: ChannelModel = await connect(this.brokerUrls[0] as string);
    try {
      return await work(await connection.createChannel());
    } finally {
      await connection.close();
    }
  }

  /** Every order placed has been deducted once, and its event ended so. */
  async untilConsumed(count: number): Promise<void> {
    await eventually(async () => {
      const [found] = await this.query<{
        orders: number;
        effects: number;
        orders_with_effect: number;
        consumed: number;
      }>(
        `SELECT (SELECT count(*) FROM placed_order)::int AS orders,
           (SELECT count(*) FROM effect WHERE kind = 'deducted')::int AS effects,
           (SELECT count(DISTINCT "orderId") FROM effect WHERE kind = 'deducted')::int AS orders_with_effect,
           (SELECT count(*) FROM reliable_mq_outbox WHERE status = 'consumed')::int AS consumed`,
      );
      expect(found).toEqual({ orders: count, effects: count, orders_with_effect: count, consumed: count });
    });
  }

  async dispose(): Promise<void> {
    // A frozen process would not answer anything gentler.
    await Promise.all(this.processes.map((app) => app.kill()));
    await Promise.all(this.apps.splice(0).map((app) => app.close()));
    await Promise.all(this.releases.map((release) => release()));
    await this.client.end();
    await this.database.drop();
    await cleanQueues(
      this.prefix,
      { queues: [this.queue, this.receiptQueue, `${this.stockService}.parked`], exchanges: [this.exchange] },
      this.brokerUrls[0],
    );
  }

  private async start(
    service: string,
    half: { readonly producer?: false; readonly consumer?: false },
    options: Partial<ReliableMqOptions>,
    providers: readonly Provider[],
    imports: readonly Type[] = [],
  ): Promise<ReliableApp> {
    const app = await startReliableApp({
      url: this.database.url,
      entities: ENTITIES,
      providers,
      imports,
      reliableMq: { ...this.options(service, options), ...half },
    });
    this.apps.push(app);
    return app;
  }

  private options(service: string, own: Partial<ReliableMqOptions>): ReliableMqOptions {
    return {
      ...SHORT,
      service,
      rabbitmq: { uri: [...this.brokerUrls], exchange: this.exchange, reconnectMs: 100 },
      ...own,
      publish: { ...SHORT.publish, ...own.publish },
      compensation: { ...SHORT.compensation, ...own.compensation },
    };
  }
}
