import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { EventRecorder, TransactionalEvent } from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp, UNCHASED } from './app';
import { runClients } from './clients';
import { countedStatements } from './count-statements';
import { OrderPlaced, payload } from './order-placed';

export interface RoundTripsConfig extends Place {
  readonly transactions: number;
}

const WARM_UP = 50;

@Injectable()
class Orders {
  constructor(
    private readonly dataSource: DataSource,
    private readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(OrderPlaced, ([id, number]: readonly [string, number]) => payload(id, number))
  decorated(number: number): Promise<readonly [string, number]> {
    return this.insert(number);
  }

  plain(number: number): Promise<readonly [string, number]> {
    return this.events.transaction(() => this.insert(number));
  }

  private async insert(number: number): Promise<readonly [string, number]> {
    const id = randomUUID();
    const values = [id, `sku-${number}`, number];
    await this.dataSource.query('INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)', values);
    return [id, number];
  }
}

/** How many statements more, and how many milliseconds, a method takes for being decorated. */
export default async function work(config: RoundTripsConfig, stage: Stage): Promise<WorkOutcome> {
  const { transactions } = config;
  let settles = 0;
  const app = await startApp({
    ...config,
    poolSize: 10,
    providers: [Orders],
    // Nothing asks the database but the measured methods, and whoever writes down what was published, which is taken off.
    reliableMq: { ...UNCHASED, compensation: { enabled: false } },
    hooks: { settling: () => (settles += 1) },
  });
  const orders = app.get(Orders);
  const dataSource = app.get(DataSource);
  const measure = async (
    action: (number: number) => Promise<unknown>,
  ): Promise<{ p50: number; statements: number }> => {
    const act = async (number: number): Promise<void> => {
      await action(number);
    };
    await runClients(1, WARM_UP, act);
    const before = countedStatements() - settles;
    const latencies = await runClients(1, transactions, act);
    return { p50: percentile(latencies, 0.5), statements: (countedStatements() - settles - before) / transactions };
  };
  stage.begin();
  const trip = await measure(() => dataSource.query('SELECT 1'));
  const plain = await measure((number) => orders.plain(number));
  const decorated = await measure((number) => orders.decorated(number));
  stage.end();
  await app.close();
  return {
    count: transactions,
    figures: {
      more: Math.round((decorated.statements - plain.statements) * 100) / 100,
      time: decorated.p50 - plain.p50,
      trip: trip.p50,
    },
  };
}
