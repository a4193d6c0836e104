import { randomUUID } from 'node:crypto';
import type { Hooks } from 'nestjs-reliable-mq';
import { eventually } from '../support/eventually';
import { Landscape } from './support/landscape';
import { CompensatingOrderService, OrderService } from './support/order-service';

describe('When two instances run the scheduled task', () => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.create();
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
    await landscape.query(
      `UPDATE reliable_mq_outbox SET status = 'published', due_at = 'infinity', claim_token = NULL`,
    );
  }

  it('the rows that are due are shared out, and each is published once', async () => {
    await recordIdle(400);
    const [first, second] = [counting('publish'), counting('publish')];
    const task = {
      compensation: { batchSize: 10, intervalMs: 50 },
      publish: { leaseMs: 60_000, confirmTimeoutMs: 30_000, windowSize: 10 },
    };
    const shop = await landscape.shop({ ...task, hooks: first.hooks });
    await landscape.shop({ ...task, hooks: second.hooks });
    await shop.query(
      `UPDATE reliable_mq_outbox SET status = 'pending', due_at = clock_timestamp(), claim_token = NULL, attempts = 0`,
    );
    await eventually(async () => {
      const [found] = await shop.query<{ count: number }>(
        `SELECT count(*)::int FROM reliable_mq_outbox WHERE status = 'published'`,
      );
      expect(found?.count).toBe(400);
    });
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
    await shop.query(
      `UPDATE reliable_mq_outbox SET status = 'dead', due_at = clock_timestamp(), claim_token = NULL, reason = $1`,
      [randomUUID()],
    );
    await eventually(async () => {
      const [found] = await shop.query<{ count: number }>(
        'SELECT count(*)::int FROM reliable_mq_outbox WHERE compensated_at IS NOT NULL',
      );
      expect(found?.count).toBe(60);
    });
    const cancelled = (await landscape.effects()).map(({ orderId }) => orderId);
    expect(new Set(cancelled).size).toBe(60);
    expect(cancelled).toHaveLength(60);
    const calls = [shop, other].map((app) => app.get(CompensatingOrderService).failures.length);
    expect(calls[0]! + calls[1]!).toBe(60);
    expect([first.count(), second.count()]).toEqual(calls);
  });
});
