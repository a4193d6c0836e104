import { InvalidSetupError, type ReliableMqModuleExtras } from 'nestjs-reliable-mq';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { TestApp } from '../support/test-app';

describe('the tables of a database', () => {
  let database: TestDatabase;
  const apps: TestApp[] = [];

  beforeEach(async () => (database = await createTestDatabase()));
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await database.drop();
  });

  async function start(service: string, extras: ReliableMqModuleExtras = {}): Promise<TestApp> {
    const app = await TestApp.start({ database, reliableMq: { service, ...extras } });
    apps.push(app);
    return app;
  }

  it('belong to one service, in all its instances', async () => {
    await start('order');
    await start('order');
    const second = start('billing');
    await expect(second).rejects.toThrow(InvalidSetupError);
    await expect(second).rejects.toThrow(
      'The table "public"."reliable_mq_outbox" belongs to service "order", and this application is "billing".',
    );
    await expect(second).rejects.toThrow('tables of its own: a `schema` or an `entityPrefix` in its DataSource');
  });

  it('can be a producer’s outbox and a consumer’s inbox, and each of them is one service’s', async () => {
    await start('order', { consumer: false });
    await start('stock', { producer: false });
    await expect(start('stock')).rejects.toThrow('reliable_mq_outbox" belongs to service "order"');
    await expect(start('order')).rejects.toThrow('reliable_mq_inbox" belongs to service "stock"');
  });

  it('belong to whoever of two that start at once is the first', async () => {
    const results = await Promise.allSettled(['one', 'two', 'three'].map((service) => start(service)));
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  it('are handed over to a service that was renamed by the statements that the error names', async () => {
    const order = await start('order');
    await order.close();
    for (let part = 0; part < 2; part += 1) {
      const refused = await start('orders').then(
        () => '',
        (error: unknown) => (error as Error).message,
      );
      const [, statement] = /run (UPDATE .*?;)/.exec(refused) ?? [];
      await database.query(statement ?? '');
    }
    await expect(start('orders')).resolves.toBeDefined();
  });
});
