import { Injectable, type Type } from '@nestjs/common';
import { ReliableEventHandler } from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp } from './app';
import { OrderPlaced } from './order-placed';
import { DEDUCT, DEDUCT_ALL, DEDUCT_BY_MARKS } from './stock';

export interface ConsumeConfig extends Place {
  /** Stop after so many messages; 0: declare the queue and end. */
  readonly count: number;
  readonly concurrency: number;
  /** Events that the handler takes at once; left out: one. */
  readonly batchSize?: number;
}

/** The handler: one UPDATE for each run. */
function stockHandler(batchSize: number | undefined): Type {
  if (batchSize === undefined) {
    @Injectable()
    class Stock {
      constructor(private readonly dataSource: DataSource) {}

      @ReliableEventHandler(OrderPlaced)
      async deduct({ sku, quantity }: OrderPlaced): Promise<void> {
        if (this.dataSource.options.type === 'postgres') await this.dataSource.query(DEDUCT, [sku, quantity]);
        else await this.dataSource.query(DEDUCT_BY_MARKS, [quantity, sku]);
      }
    }
    return Stock;
  }
  const batch = { size: batchSize, waitMs: 20 };
  @Injectable()
  class StockInBatches {
    constructor(private readonly dataSource: DataSource) {}

    @ReliableEventHandler(OrderPlaced, { batch })
    async deduct(orders: OrderPlaced[]): Promise<void> {
      const columns = [orders.map(({ sku }) => sku), orders.map(({ quantity }) => quantity)];
      await this.dataSource.query(DEDUCT_ALL, columns);
    }
  }
  return StockInBatches;
}

/** Handles what is in the queue: inbox row, one UPDATE, receipt. */
export default async function work(config: ConsumeConfig, stage: Stage): Promise<WorkOutcome> {
  let received = 0;
  let acknowledged = 0;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const app = await startApp({
    ...config,
    poolSize: config.concurrency + 5,
    providers: [stockHandler(config.batchSize)],
    reliableMq: { consume: { prefetch: config.concurrency * (config.batchSize ?? 1) } },
    hooks: {
      received: () => {
        if (received === 0) stage.begin();
        received += 1;
      },
      acknowledged: () => {
        acknowledged += 1;
        if (acknowledged === config.count) done();
      },
    },
  });
  if (config.count > 0) await all;
  stage.end();
  await app.close();
  return { count: acknowledged };
}
