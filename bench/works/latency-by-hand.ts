import { randomUUID } from 'node:crypto';
import { AmqpConnection } from '@golevelup/nestjs-rabbitmq';
import { Logger } from '@nestjs/common';
import { Pool } from 'pg';
import type { Stage, WorkOutcome } from '../work';
import { INSERT_INBOX } from './hand-inbox';
import type { LatencyConfig } from './latency-ours';
import { EVENT_TYPE, payload } from './order-placed';
import { atRate, now } from './pace';

const ORDER = { name: 'order', text: 'INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)' };

/**
 * Nothing safe about it: the same transaction without an event row, and golevelup's `publish` right after the commit; the consumer
 * opens a transaction and inserts its inbox row before its handler is entered.
 */
export default async function work(config: LatencyConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, exchange, perSecond } = config;
  const times: Record<string, number> = {};
  const pool = new Pool({ connectionString: databaseUrl, max: 20 });
  Logger.overrideLogger(['fatal', 'error', 'warn']);
  const amqp = new AmqpConnection({
    uri: amqpUrl,
    exchanges: [{ name: exchange, type: 'topic', options: { durable: true } }],
    connectionInitOptions: { wait: true },
    channels: { all: { prefetchCount: 10, default: true } },
  });
  await amqp.init();
  const transaction = async (
    statement: { name: string; text: string; values: unknown[] },
    inside?: () => void,
  ): Promise<void> => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await client.query(statement);
      inside?.();
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  };
  const place = async (number: number): Promise<void> => {
    const id = randomUUID();
    await transaction({ ...ORDER, values: [id, `sku-${number}`, number] });
    times[id] = now();
    await amqp.publish(exchange, EVENT_TYPE, payload(id, number), { messageId: id, persistent: true });
  };
  if (config.role === 'consumer') {
    await amqp.createSubscriber(
      async (_message: unknown, raw) => {
        const id = String(raw?.properties.messageId);
        await transaction({ ...INSERT_INBOX, values: [id] }, () => (times[id] = now()));
      },
      {
        exchange,
        routingKey: EVENT_TYPE,
        queue: `${exchange}.by-hand`,
        queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
      },
      'consume',
    );
    stage.ready();
    await stage.stopped;
  } else {
    stage.ready();
    await atRate(perSecond, config.warmUp, place);
    stage.begin();
    await atRate(perSecond, config.count, place);
    stage.end();
  }
  // Nothing is closed: golevelup's `close` fails while messages are in hand, and the process ends anyway.
  return { count: config.count, notes: { times } };
}
