import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { TransactionalEvent } from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp, UNCHASED } from './app';
import { runClients } from './clients';
import { OrderPlaced, payload } from './order-placed';

export interface RecordConfig extends Place {
  readonly clients: number;
  readonly transactions: number;
  readonly warmUp: number;
}

const ORDER = 'INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)';

@Injectable()
class Orders {
  constructor(private readonly dataSource: DataSource) {}

  @TransactionalEvent(OrderPlaced, ([id, number]: readonly [string, number]) => payload(id, number))
  async place(number: number): Promise<readonly [string, number]> {
    const id = randomUUID();
    const isPostgres = this.dataSource.options.type === 'postgres';
    const sql = isPostgres ? ORDER : 'INSERT INTO orders (id, sku, quantity) VALUES (?, ?, ?)';
    await this.dataSource.query(sql, [
      isPostgres ? id : Buffer.from(id.replaceAll('-', ''), 'hex'),
      `sku-${number}`,
      number,
    ]);
    return [id, number];
  }
}

/** Business transactions with an event each, published meanwhile. */
export default async function work(config: RecordConfig, stage: Stage): Promise<WorkOutcome> {
  const { clients, transactions, warmUp } = config;
  let published = 0;
  const app = await startApp({
    ...config,
    poolSize: clients + 4,
    providers: [Orders],
    reliableMq: UNCHASED,
    hooks: { settled: ({ count }) => (published += count) },
  });
  const orders = app.get(Orders);
  const place = async (number: number): Promise<void> => {
    await orders.place(number);
  };
  await runClients(clients, warmUp, place);
  stage.begin();
  const latencies = await runClients(clients, transactions, place);
  stage.end();
  const publishedMeanwhile = published;
  await app.close();
  return {
    count: transactions,
    figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), publishedMeanwhile },
  };
}
