import { randomUUID } from 'node:crypto';
import type { Hooks } from 'nestjs-reliable-mq';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { Landscape } from './support/landscape';
import { CompensatingOrderService, OrderService } from './support/order-service';

describeEachDatabase('When two instances run the scheduled task', (database) => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.on(database);
    await landscape.declareStockQueue();
  });
  afterEach(() => landscape.dispose());

  /** Counts the rows that an instance's job has claimed. */
  function counting(job: string): { hooks: Partial<Hooks>; count: () => number } {
    let claimed = 0;
    return {
      hooks: {
        jobBatch: (batch) => {
          if (batch.job === job) claimed += batch.count;
        },
      },
      count: () => claimed,
    };
  }

  /** Events that nobody looks at yet. */
  async function recordIdle(count: number): Promise<void> {
    const recorder = await landscape.shop({ compensation: { enabled: false } });
    await recorder.get(OrderService).placeMany(count);
    await landscape.close(recorder);
    await landscape.purge(landscape.queue);
    const idle = { status: 'published', due_at: { inMs: 365 * 24 * 3_600_000 }, claim_token: null };
    await landscape.database.update('outbox', {}, idle);
  }

  async function counted(count: number, where: string): Promise<void> {
    const sql = `SELECT count(*) AS count FROM reliable_mq_outbox WHERE ${where}`;
    await eventually(async () => expect(await landscape.query(sql)).toEqual([{ count }]));
  }

  it('the rows that are due are shared out, and each is published once', async () => {
    await recordIdle(400);
    const [first, second] = [counting('publish'), counting('publish')];
    const task = {
      compensation: { batchSize: 10, intervalMs: 50 },
      publish: { leaseMs: 60_000, confirmTimeoutMs: 30_000, windowSize: 10 },
    };
    await landscape.shop({ ...task, hooks: first.hooks });
    await landscape.shop({ ...task, hooks: second.hooks });
    const due = { status: 'pending', due_at: { inMs: 0 }, claim_token: null, attempts: 0 };
    await landscape.database.update('outbox', {}, due);
    await counted(400, `status = 'published'`);
    expect(first.count() + second.count()).toBe(400);
    expect(Math.min(first.count(), second.count())).toBeGreaterThan(0);
    expect(await landscape.messageCount(landscape.queue)).toBe(400);
    for (const row of await landscape.rows()) expect(row.attempts).toBe(1);
  });

  it('each dead event is compensated once', async () => {
    await recordIdle(60);

    const [first, second] = [counting('compensate'), counting('compensate')];
    const shop = await landscape.shop({ hooks: first.hooks }, [CompensatingOrderService]);
    const other = await landscape.shop({ hooks: second.hooks }, [CompensatingOrderService]);
    const dead = { status: 'dead', due_at: { inMs: 0 }, claim_token: null, reason: randomUUID() };
    await landscape.database.update('outbox', {}, dead);
    await counted(60, 'compensated_at IS NOT NULL');
    const cancelled = (await landscape.effects()).map(({ orderId }) => orderId);
    expect(new Set(cancelled).size).toBe(60);
    expect(cancelled).toHaveLength(60);
    const calls = [shop, other].map((app) => app.get(CompensatingOrderService).failures.length);
    expect(calls[0]! + calls[1]!).toBe(60);
    expect([first.count(), second.count()]).toEqual(calls);
  });
});
