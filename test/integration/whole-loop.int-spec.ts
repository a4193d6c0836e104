import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsInt, IsUUID, Min } from 'class-validator';
import {
  Compensate,
  type EventFailure,
  EventOperations,
  EventRecorder,
  MemoryBroker,
  RejectEvent,
  ReliableEvent,
  ReliableEventHandler,
  ReliableMqHealth,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';
import { TestBroker } from '../support/test-broker';

@Entity()
class Purchase {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('int') quantity!: number;
  @Column('varchar', { default: 'PENDING' }) status!: string;
}

@ReliableEvent({ type: 'purchase.made' })
class PurchaseMade {
  @IsUUID() purchaseId!: string;
  @IsInt() @Min(1) quantity!: number;
}

@Injectable()
class PurchaseService {
  readonly failures: EventFailure[] = [];

  constructor(
    @InjectRepository(Purchase) private readonly purchases: Repository<Purchase>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(PurchaseMade, (purchase: Purchase) => ({ purchaseId: purchase.id, quantity: purchase.quantity }))
  async buy(quantity: number): Promise<Purchase> {
    return this.purchases.save({ quantity });
  }

  @Compensate(PurchaseMade)
  async cancel(event: PurchaseMade, failure: EventFailure): Promise<void> {
    this.failures.push(failure);
    await this.purchases.update(event.purchaseId, { status: 'FAILED' });
  }
}

@Injectable()
class StockService {
  readonly handled: string[] = [];

  constructor(@InjectRepository(Purchase) private readonly purchases: Repository<Purchase>) {}

  @ReliableEventHandler(PurchaseMade)
  async deduct(event: PurchaseMade): Promise<void> {
    if (event.quantity === 13) throw new RejectEvent('unlucky');
    this.handled.push(event.purchaseId);
    await this.purchases.update(event.purchaseId, { status: 'DEDUCTED' });
  }
}

describe.each(['memory', 'rabbitmq'] as const)('an event on its whole way over %s', (transport) => {
  let app: TestApp;
  let service: string;

  beforeAll(async () => {
    const broker = transport === 'memory' ? new MemoryBroker() : new TestBroker();
    service = broker instanceof TestBroker ? broker.service('shop', 'purchase.made') : 'shop';
    app = await TestApp.start({
      broker,
      entities: [Purchase],
      providers: [PurchaseService, StockService],
      reliableMq: { ...QUICK, service },
    });
  });
  afterAll(async () => {
    await app.dispose();
    if (transport === 'rabbitmq') await app.rabbitmq.dispose();
  });

  it('is recorded with the business row, handled once, and ends consumed', async () => {
    const purchase = await app.get(PurchaseService).buy(2);

    await eventually(async () => {
      const event = (await app.outbox()).find(({ payload }) => payload.includes(purchase.id));
      expect(event).toMatchObject({ status: 'consumed', outcomes: { [service]: { outcome: 'handled' } } });
    });
    expect(app.get(StockService).handled).toEqual([purchase.id]);
    await expect(app.repository(Purchase).findOneByOrFail({ id: purchase.id })).resolves.toMatchObject({
      status: 'DEDUCTED',
    });
  });

  it('waits while its queue is paused, and is handled when that is over', async () => {
    const queue = { consumer: service, type: 'purchase.made' };
    const operations = app.get(EventOperations);
    const paused = async () => (await app.get(ReliableMqHealth).check()).paused;
    for (const by of ['anna', 'bert']) {
      await operations.on().pause(queue, { by });
      await eventually(async () => expect(await paused()).toEqual([`${service}.purchase.made`]));
      const { id } = await app.get(PurchaseService).buy(3);
      await eventually(async () => expect(await operations.list({ status: 'published' })).toHaveLength(1));
      expect(app.get(StockService).handled).not.toContain(id);
      await operations.on().resume(queue, { by });
      await eventually(() => expect(app.get(StockService).handled).toContain(id));
      expect(await app.get(ReliableMqHealth).check()).toEqual({ healthy: true, status: 'up', reasons: [] });
    }
  });

  it('is compensated once when its consumer rejects it', async () => {
    const purchase = await app.get(PurchaseService).buy(13);

    await eventually(async () => {
      await expect(app.repository(Purchase).findOneByOrFail({ id: purchase.id })).resolves.toMatchObject({
        status: 'FAILED',
      });
    });
    const [failure, ...others] = app.get(PurchaseService).failures;
    expect(others).toEqual([]);
    expect(failure).toMatchObject({
      type: 'purchase.made',
      outcomes: [{ consumer: service, outcome: 'rejected', reason: 'unlucky' }],
    });
    const event = await app.get(EventOperations).get(failure?.eventId ?? '');
    expect(event).toMatchObject({ status: 'dead', dueAt: null, compensatedAt: expect.any(Date) as Date });
  });
});
