import { Injectable, type Type } from '@nestjs/common';
import { ReliableEventHandler } from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp } from './app';
import { OrderPlaced } from './order-placed';
import { DEDUCT } from './stock';

export interface ConsumeConfig extends Place {
  /** Stop after so many messages; 0: declare the queue and end. */
  readonly count: number;
  readonly concurrency: number;
  readonly shareCommits?: boolean;
}

/** The handler, with its commits shared between messages or not. */
function stockHandler(shareCommits: boolean): Type {
  @Injectable()
  class Stock {
    constructor(private readonly dataSource: DataSource) {}

    @ReliableEventHandler(OrderPlaced, { shareCommits })
    async deduct({ sku, quantity }: OrderPlaced): Promise<void> {
      await this.dataSource.query(DEDUCT, [sku, quantity]);
    }
  }
  return Stock;
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
    providers: [stockHandler(config.shareCommits ?? false)],
    reliableMq: { consume: { prefetch: config.concurrency } },
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
