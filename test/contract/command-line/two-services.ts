import { Injectable, type Provider } from '@nestjs/common';
import { IsString } from 'class-validator';
import { EventRecorder, MemoryBroker, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { Column, Entity, EntityManager, PrimaryGeneratedColumn } from 'typeorm';
import { type CommandResult, runCommand } from '../../../libs/reliable-mq/src/operate/cli/run-command';
import { createTestDatabase, type DatabaseName, type TestDatabase } from '../../support/database';
import { quick, TestApp } from '../../support/test-app';

@ReliableEvent({ type: 'order.created', consumers: ['stock'], key: ({ orderId }: OrderCreated) => orderId })
export class OrderCreated {
  @IsString() orderId!: string;
}

/** What the consumer's handler writes: two rows of one order would be work that was done twice. */
@Entity('deduction')
export class Deduction {
  @PrimaryGeneratedColumn() id!: number;
  @Column('varchar', { length: 50 }) orderId!: string;
}

@Injectable()
export class Orders {
  constructor(private readonly events: EventRecorder) {}

  place(orderId: string): Promise<string> {
    return this.events.transaction(() => this.events.record(Object.assign(new OrderCreated(), { orderId })));
  }
}

@Injectable()
export class Stock {
  /** Throws, for a handler that fails. */
  onDeduct: (orderId: string) => unknown = () => undefined;

  constructor(private readonly manager: EntityManager) {}

  @ReliableEventHandler(OrderCreated)
  async deduct({ orderId }: OrderCreated): Promise<void> {
    await this.onDeduct(orderId);
    await this.manager.insert(Deduction, { orderId });
  }
}

/** A producer and a consumer with a database each, on one broker, and the command line beside them. */
export class TwoServices {
  private readonly broker = new MemoryBroker();
  private orderApp: TestApp | undefined;
  private stockApp: TestApp | undefined;

  private constructor(
    private readonly databases: { readonly order: TestDatabase; readonly stock: TestDatabase },
    private readonly ofOrder: readonly Provider[],
  ) {}

  /** @param ofOrder further providers of the producer */
  static async start(database: DatabaseName, ofOrder: readonly Provider[] = []): Promise<TwoServices> {
    const databases = { order: await createTestDatabase(database), stock: await createTestDatabase(database) };
    const services = new TwoServices(databases, ofOrder);
    await services.startOrder();
    await services.startStock();
    return services;
  }

  get order(): TestApp {
    if (!this.orderApp) throw new Error('the producer has not started');
    return this.orderApp;
  }

  get stock(): TestApp {
    if (!this.stockApp) throw new Error('the consumer has not started');
    return this.stockApp;
  }

  /** Again, on the same database, when it was stopped. */
  async startOrder(): Promise<void> {
    this.orderApp = await TestApp.start({
      database: this.databases.order,
      broker: this.broker,
      reliableMq: quick({ service: 'order', receipts: { chaseAfterMs: 1000 } }),
      providers: [Orders, ...this.ofOrder],
    });
  }

  async startStock(): Promise<void> {
    this.stockApp = await TestApp.start({
      database: this.databases.stock,
      broker: this.broker,
      reliableMq: quick({ service: 'stock', consume: { maxAttempts: 2 } }),
      entities: [Deduction],
      providers: [Stock],
    });
  }

  stopOrder(): Promise<void> {
    return this.order.close();
  }

  stopStock(): Promise<void> {
    return this.stock.close();
  }

  place(orderId: string): Promise<string> {
    return this.order.get(Orders).place(orderId);
  }

  get handler(): Stock {
    return this.stock.get(Stock);
  }

  /** The command line on the producer's database, or where its `--database` says. */
  run(...args: readonly string[]): Promise<CommandResult> {
    return runCommand(args, { env: { DATABASE_URL: this.order.database.url }, user: 'anna' });
  }

  onStock(...args: readonly string[]): Promise<CommandResult> {
    return this.run(...args, '--database', this.stock.database.url);
  }

  /** What it prints for scripts. @throws Error when it ends with another code than 0 */
  async json<T>(...args: readonly string[]): Promise<T> {
    const { output, problem, exitCode } = await this.run(...args, '--json');
    if (exitCode !== 0) throw new Error(`${args.join(' ')} ended with ${exitCode}: ${problem}${output}`);
    return JSON.parse(output) as T;
  }

  async dispose(): Promise<void> {
    await this.stock.dispose();
    await this.order.dispose();
    await Promise.all([this.databases.stock.drop(), this.databases.order.drop()]);
  }
}
