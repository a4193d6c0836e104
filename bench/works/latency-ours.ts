import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { type EventContext, ReliableEventHandler, TransactionalEvent } from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp } from './app';
import { OrderPlaced, payload } from './order-placed';
import { atRate, now } from './pace';

export interface LatencyConfig extends Place {
  readonly role: 'producer' | 'consumer';
  /** Service of the consumer: names its queue. */
  readonly exchange: string;
  readonly perSecond: number;
  readonly count: number;
  readonly warmUp: number;
}

@Injectable()
class Orders {
  constructor(private readonly dataSource: DataSource) {}

  @TransactionalEvent(OrderPlaced, ([id, number]: readonly [string, number]) => payload(id, number))
  async place(number: number): Promise<readonly [string, number]> {
    const id = randomUUID();
    const values = [id, `sku-${number}`, number];
    await this.dataSource.query('INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)', values);
    return [id, number];
  }
}

@Injectable()
class Stock {
  readonly entered: Record<string, number> = {};

  @ReliableEventHandler(OrderPlaced)
  deduct(_event: OrderPlaced, { eventId }: EventContext): Promise<void> {
    this.entered[eventId] = now();
    return Promise.resolve();
  }
}

/** One side: when each event was committed, or when its handler was entered. */
export default async function work(config: LatencyConfig, stage: Stage): Promise<WorkOutcome> {
  const times: Record<string, number> = {};
  const isProducer = config.role === 'producer';
  let unsent = config.warmUp + config.count;
  let allSent: () => void = () => undefined;
  const sent = new Promise<void>((resolve) => (allSent = resolve));
  const onSent = (): void => {
    unsent -= 1;
    if (unsent === 0) allSent();
  };
  const app = await startApp({
    ...config,
    poolSize: 20,
    providers: isProducer ? [Orders] : [Stock],
    reliableMq: { rabbitmq: { uri: config.amqpUrl, exchange: config.exchange } },
    hooks: isProducer
      ? { committed: (events) => events.forEach(({ eventId }) => (times[eventId] = now())), sent: onSent }
      : {},
  });
  stage.ready();
  if (isProducer) {
    const orders = app.get(Orders);
    await atRate(config.perSecond, config.warmUp, (number) => orders.place(number));
    stage.begin();
    await atRate(config.perSecond, config.count, (number) => orders.place(number));
    stage.end();
    // Closing gives back to the table what has not left yet, for another instance to publish.
    await sent;
  } else {
    await stage.stopped;
    Object.assign(times, app.get(Stock).entered);
  }
  await app.close();
  return { count: config.count, notes: { times } };
}
