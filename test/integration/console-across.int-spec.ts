import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import { EventRecorder, MemoryBroker, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { quick, TestApp } from '../support/test-app';
import { Person, startConsoleApp, Things, ThingMade } from './console-harness';

@ReliableEvent({ type: 'stock.taken', key: ({ name }: StockTaken) => name })
class StockTaken {
  @IsString() name!: string;
}

/** Another service, which handles what the shop records. */
@Injectable()
class Stock {
  constructor(private readonly events: EventRecorder) {}

  @ReliableEventHandler(ThingMade)
  async take({ name }: ThingMade): Promise<void> {
    await this.events.record(Object.assign(new StockTaken(), { name }));
  }
}

interface Journey {
  readonly events: readonly { readonly source: string; readonly type: string; readonly causationId: string | null }[];
  readonly handlings: readonly { readonly source: string; readonly consumer: string; readonly status: string }[];
  readonly unread: readonly { readonly source: string; readonly problem: string }[];
}

describe('the console across services', () => {
  const broker = new MemoryBroker();
  let own: TestDatabase;
  let others: TestDatabase;
  let stock: TestApp;
  let shop: TestApp;
  let reader: Person;

  beforeAll(async () => {
    own = await createTestDatabase();
    others = await createTestDatabase('mariadb');
    stock = await TestApp.start({
      database: others,
      broker,
      providers: [Stock],
      reliableMq: quick({ service: 'stock' }),
    });
    const missing = new URL(own.url);
    missing.pathname = '/there_is_no_such_database';
    shop = await startConsoleApp({
      database: own,
      broker,
      console: {
        databases: [
          { name: 'stock', url: others.url },
          { name: 'lost', url: missing.href },
        ],
      },
    });
    reader = new Person(shop, 'reader');
  });
  afterAll(async () => {
    await shop.close();
    await stock.close();
    await own.drop();
    await others.drop();
  });

  it('shows one journey from the recording to the ends in both, and says which database it could not ask', async () => {
    const id = await shop.get(Things).make('order-1');
    await eventually(async () => {
      const { body } = await reader.get<Journey>('journey?of=order-1');
      expect(body.events).toEqual([
        expect.objectContaining({ source: 'default', type: 'thing.made', id }),
        expect.objectContaining({ source: 'stock', type: 'stock.taken', causationId: id }),
      ]);
      expect(body.handlings).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ source: 'default', consumer: 'shop', status: 'handled' }),
          expect.objectContaining({ source: 'stock', consumer: 'stock', status: 'handled' }),
        ]),
      );
      expect(body.unread).toEqual([{ source: 'lost', problem: expect.stringContaining('database "lost"') }]);
    });
    const { body } = await reader.get<Journey>(`journey?of=${id}`);
    expect(body.events).toHaveLength(2);
  });

  it('lists what another service has, and changes nothing of it', async () => {
    const { body } = await reader.get<{ events: { source: string; type: string }[] }>('events?source=stock');
    expect(body.events).toEqual([expect.objectContaining({ source: 'stock', type: 'stock.taken' })]);
    const request = { operation: 'redrive', source: 'stock', filter: {} };
    const { status, body: refused } = await new Person(shop, 'anna').post<{ message: string }>('operations', request);
    expect(status).toBe(400);
    expect(refused.message).toContain("another service's database, which is only read");
    expect((await reader.get<{ code: string }>('events?source=lost')).body.code).toBe('UNAVAILABLE');
  });

  it('tells of all of them what is so now', async () => {
    const { body } = await reader.get<{ sources: object[]; totals: object }>('now');
    expect(body.sources).toEqual([
      expect.objectContaining({ source: 'default', outbox: expect.any(Object), inbox: expect.any(Object) }),
      expect.objectContaining({ source: 'stock', outbox: expect.any(Object) }),
      expect.objectContaining({ source: 'lost', problem: expect.stringContaining('database "lost"') }),
    ]);
    expect(body.totals).toMatchObject({ recorded: 1, published: 1, handled: 1, dead: 0 });
  });

  it('asks each database once in two seconds, however many look', async () => {
    const asked = { count: 0 };
    const query = shop.dataSource.createQueryRunner.bind(shop.dataSource);
    // Each statement of the library gets a query runner of its own.
    const spied = jest.spyOn(shop.dataSource, 'createQueryRunner').mockImplementation((...args) => {
      const { stack = '' } = new Error();
      if (stack.includes('statistics')) asked.count += 1;
      return query(...args);
    });
    await eventually(async () => {
      await reader.get('now');
      expect(asked.count).toBeGreaterThan(0);
    });
    asked.count = 0;
    const began = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => reader.get<{ at: string }>('now').then(({ body }) => body.at)),
    );
    const windows = 1 + Math.floor((performance.now() - began) / 2000);
    spied.mockRestore();
    expect(new Set(answers).size).toBeLessThanOrEqual(windows + 1);
    expect(asked.count).toBeLessThanOrEqual(windows + 1);
  });

  it('names the queues of its handlers, and those whom its events wait for', async () => {
    const { body } = await reader.get<{ queues: object[] }>('queues');
    expect(body.queues).toEqual([
      expect.objectContaining({ name: 'shop.thing.made', source: 'default', isOwn: true, consumers: 1, messages: 0 }),
    ]);
  });
});
