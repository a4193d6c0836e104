import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import { type EventContext, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import type { EntityManager } from 'typeorm';
import { createTestDatabase, type DatabaseName, type TestDatabase } from '../support/database';
import { describeEachDatabase } from '../support/each-database';
import { Consuming } from './consume-harness';

@ReliableEvent({ type: 'order.placed' })
class OrderPlaced {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'order.doomed' })
class OrderDoomed {
  @IsString() text!: string;
}

/** On MariaDB the later one of two would overwrite the other: sharing the row and then changing it, they deadlock. */
const LOOK: Readonly<Record<DatabaseName, string>> = {
  postgres: 'SELECT left_over FROM stock',
  mariadb: 'SELECT left_over FROM stock LOCK IN SHARE MODE',
};

const CONFLICT: Readonly<Record<DatabaseName, string>> = {
  postgres: `DO $$ BEGIN RAISE SQLSTATE '40001'; END $$`,
  mariadb: `SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'`,
};

function databaseOf({ dataSource }: EntityManager): DatabaseName {
  return dataSource.options.type === 'postgres' ? 'postgres' : 'mariadb';
}

/** Takes one from a stock that all orders want to have. */
@Injectable()
class HotStock {
  readonly attempts: number[] = [];

  @ReliableEventHandler(OrderPlaced, { maxAttempts: 2 })
  async take({ text }: OrderPlaced, { manager, attempt }: EventContext): Promise<void> {
    this.attempts.push(attempt);
    const [stock] = await manager.query<[{ left_over: number }]>(LOOK[databaseOf(manager)]);
    await sleep(5);
    try {
      await manager.query(`UPDATE stock SET left_over = ${stock.left_over - 1}`);
    } catch (error) {
      if (text === 'wrapped') throw new Error('the stock could not be taken', { cause: error });
      throw error;
    }
  }

  @ReliableEventHandler(OrderDoomed, { maxAttempts: 2, timeoutMs: 200 })
  async fail(_: OrderDoomed, { manager }: EventContext): Promise<void> {
    await manager.query(CONFLICT[databaseOf(manager)]);
  }
}

describeEachDatabase('transactions that fail because of others that run beside them', (kind) => {
  let database: TestDatabase;
  let instances: Consuming[];

  beforeEach(async () => {
    database = await createTestDatabase(kind);
    const setUp = { entities: [], providers: [HotStock], database, poolSize: 20 };
    const first = await Consuming.start(setUp);
    await first.app.query('CREATE TABLE stock AS SELECT 1000 AS left_over');
    if (kind === 'postgres')
      await first.app.query(`ALTER DATABASE "${database.name}" SET default_transaction_isolation = 'repeatable read'`);
    await first.dispose();
    const one = await Consuming.start(setUp);
    instances = [one, await Consuming.start({ ...setUp, broker: one.broker })];
  });
  afterEach(async () => {
    for (const instance of instances) await instance.dispose();
    await database.drop();
  });

  it.each(['plain', 'wrapped'])('use up no attempt, and all commit in the end (errors: %s)', async (text) => {
    const [one] = instances as [Consuming];
    const ids = Array.from({ length: 60 }, () => one.send(text, { type: 'order.placed' }));
    for (const id of ids) await expect(one.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
    await expect(one.app.query('SELECT left_over FROM stock')).resolves.toEqual([{ left_over: 940 }]);
    const attempts = instances.flatMap((instance) => instance.app.get(HotStock).attempts);
    expect(attempts.length).toBeGreaterThan(60);
    expect(new Set(attempts)).toEqual(new Set([1]));
  });

  it('count when they go on for longer than a few of the handler’s timeouts', async () => {
    const [one] = instances as [Consuming];
    const id = one.send('hopeless', { type: 'order.doomed' });
    const row = await one.settled(id, 'dead');
    expect(row.attempts).toBe(2);
    expect(row.history[0]?.reason).toMatch(/^other transactions were in its way for 400 ms: /);
  });
});
