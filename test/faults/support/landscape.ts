import { join } from 'node:path';
import { connect, type Channel } from 'amqplib';
import type { Provider, Type } from '@nestjs/common';
import type { Hooks, ReliableMqOptions } from 'nestjs-reliable-mq';
import { createTestDatabase, type DatabaseName, type OutboxRow, type TestDatabase } from '../../support/database';
import { eventually } from '../../support/eventually';
import { type App, startApp } from '../../support/processes';
import { rabbitmqUrl } from '../../support/rabbitmq';
import { QUICK, TestApp } from '../../support/test-app';
import { TestBroker } from '../../support/test-broker';
import { Effect, OrderService, PlacedOrder, StockService } from './order-service';

const ENTITIES = [PlacedOrder, Effect];

/** Short leases and intervals: what takes minutes in production takes a second here. */
const SHORT: Partial<ReliableMqOptions> = {
  ...QUICK,
  compensation: { ...QUICK.compensation, intervalMs: 100 },
  publish: { ...QUICK.publish, leaseMs: 2000, confirmTimeoutMs: 1000 },
};

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
  readonly shopService: string;
  readonly stockService: string;
  readonly queue: string;
  readonly receiptQueue: string;
  private readonly apps: TestApp[] = [];
  private readonly processes: App[] = [];
  private readonly releases: (() => Promise<void>)[] = [];

  private constructor(
    readonly database: TestDatabase,
    readonly rabbitmq: TestBroker,
  ) {
    this.shopService = rabbitmq.service('shop');
    this.stockService = rabbitmq.service('stock', 'order.placed');
    this.queue = `${this.stockService}.order.placed`;
    this.receiptQueue = `${this.shopService}.receipts.quorum`;
  }

  /** @param brokerUrls of one broker, or of a cluster's nodes */
  static async create(brokerUrls: string | readonly string[] = rabbitmqUrl()): Promise<Landscape> {
    return new Landscape(await createTestDatabase(), new TestBroker([brokerUrls].flat()));
  }

  /** On this database, and the broker of the tests. */
  static async on(database: DatabaseName): Promise<Landscape> {
    return new Landscape(await createTestDatabase(database), new TestBroker([rabbitmqUrl()]));
  }

  get exchange(): string {
    return this.rabbitmq.exchange;
  }

  /** The order service in this process. */
  shop(options: Partial<ReliableMqOptions> = {}, providers: readonly Provider[] = [OrderService]): Promise<TestApp> {
    return this.start(this.shopService, { consumer: false }, options, providers);
  }

  /** The stock service in this process. */
  stock(options: Partial<ReliableMqOptions> = {}, imports: readonly Type[] = []): Promise<TestApp> {
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

  async close(app: TestApp): Promise<void> {
    this.apps.splice(this.apps.indexOf(app), 1);
    await app.close();
  }

  rows(): Promise<OutboxRow[]> {
    return this.database.outbox();
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

  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]> {
    return this.database.query<Row>(sql, parameters);
  }

  messageCount(queue: string): Promise<number> {
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
    const connection = await connect(this.rabbitmq.urls[0] as string);
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

  onChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    return this.rabbitmq.onChannel(work);
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
        `SELECT (SELECT count(*) FROM placed_order) AS orders,
           (SELECT count(*) FROM effect WHERE kind = 'deducted') AS effects,
           (SELECT count(DISTINCT "orderId") FROM effect WHERE kind = 'deducted') AS orders_with_effect,
           (SELECT count(*) FROM reliable_mq_outbox WHERE status = 'consumed') AS consumed`,
      );
      expect(found).toEqual({ orders: count, effects: count, orders_with_effect: count, consumed: count });
    });
  }

  async dispose(): Promise<void> {
    // A frozen process would not answer anything gentler.
    await Promise.all(this.processes.map((app) => app.kill()));
    await Promise.all(this.apps.splice(0).map((app) => app.close()));
    await Promise.all(this.releases.map((release) => release()));
    await this.database.drop();
    await this.rabbitmq.dispose();
  }

  private async start(
    service: string,
    half: { readonly producer?: false; readonly consumer?: false },
    options: Partial<ReliableMqOptions>,
    providers: readonly Provider[],
    imports: readonly Type[] = [],
  ): Promise<TestApp> {
    const app = await TestApp.start({
      database: this.database,
      broker: this.rabbitmq,
      entities: ENTITIES,
      providers,
      imports: [...imports],
      reliableMq: { ...this.options(service, options), ...half },
    });
    this.apps.push(app);
    return app;
  }

  /** Of either service, for this process or one of its own. */
  private options(service: string, own: Partial<ReliableMqOptions>): ReliableMqOptions {
    return {
      ...SHORT,
      service,
      ...own,
      rabbitmq: { uri: [...this.rabbitmq.urls], exchange: this.exchange, reconnectMs: 100, ...own.rabbitmq },
      publish: { ...SHORT.publish, ...own.publish },
      compensation: { ...SHORT.compensation, ...own.compensation },
    };
  }
}
