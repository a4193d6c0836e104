import { randomUUID } from 'node:crypto';
import { connect } from 'amqp-connection-manager';
import type { ConfirmChannel } from 'amqplib';
import { DataSource } from 'typeorm';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { runClients } from './clients';
import { EVENT_TYPE, payload } from './order-placed';
import type { RecordConfig } from './record-ours';

/** How long the relay sleeps when it found nothing, in milliseconds. Under this load it hardly does. */
const POLL_MS = 10;
const BATCH = 500;
const CLAIM = `UPDATE outbox AS o SET due_at = now() + interval '30 seconds'
  FROM (SELECT id FROM outbox WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
  WHERE o.id = due.id RETURNING o.id, o.type, o.payload::text AS payload`;
const SETTLE = 'UPDATE outbox SET due_at = NULL WHERE id = ANY($1)';

interface Row {
  readonly id: string;
  readonly type: string;
  readonly payload: string;
}

/**
 * What an application writes by hand with the tools that the library stands on: TypeORM's transaction with the order's row and the
 * event's, and a relay that claims, publishes through amqp-connection-manager with confirms, and settles.
 */
export default async function work(config: RecordConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service, clients, transactions, warmUp } = config;
  const dataSource = await new DataSource({ type: 'postgres', url: databaseUrl, poolSize: clients + 1 }).initialize();
  const connection = connect([amqpUrl]);
  const channel = connection.createChannel({
    confirm: true,
    setup: (opened: ConfirmChannel) => opened.assertExchange(service, 'topic', { durable: true }),
  });
  await channel.waitForConnect();
  let stopped = false;
  let published = 0;
  const relayBatch = async (): Promise<number> => {
    const [rows] = (await dataSource.query(CLAIM, [BATCH])) as [Row[], number];
    if (rows.length === 0) return 0;
    await Promise.all(
      rows.map(({ id, type, payload: json }) =>
        channel.publish(service, type, Buffer.from(json), {
          persistent: true,
          mandatory: true,
          contentType: 'application/json',
          messageId: id,
          type,
        }),
      ),
    );
    await dataSource.query(SETTLE, [rows.map(({ id }) => id)]);
    return rows.length;
  };
  const relaying = (async () => {
    while (!stopped) {
      const count = await relayBatch();
      published += count;
      if (count === 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  })();
  const place = (number: number): Promise<void> =>
    dataSource.transaction(async (manager) => {
      const id = randomUUID();
      await manager.query('INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)', [id, `sku-${number}`, number]);
      await manager.query('INSERT INTO outbox (id, type, payload, due_at) VALUES ($1, $2, $3, now())', [
        randomUUID(),
        EVENT_TYPE,
        JSON.stringify(payload(id, number)),
      ]);
    });
  await Promise.race([relaying, runClients(clients, warmUp, place)]);
  stage.begin();
  const recording = runClients(clients, transactions, place);
  await Promise.race([relaying, recording]);
  const latencies = await recording;
  stage.end();
  const publishedMeanwhile = published;
  stopped = true;
  await relaying;
  await connection.close();
  await dataSource.destroy();
  return {
    count: transactions,
    figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), publishedMeanwhile },
  };
}
