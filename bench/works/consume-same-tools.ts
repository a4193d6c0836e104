import { connect } from 'amqp-connection-manager';
import type { Channel, ConsumeMessage } from 'amqplib';
import { DataSource } from 'typeorm';
import type { Stage, WorkOutcome } from '../work';
import type { ConsumeConfig } from './consume-ours';
import { INSERT_INBOX } from './hand-inbox';
import { EVENT_TYPE, type OrderPlaced } from './order-placed';
import { DEDUCT } from './stock';

/**
 * What an application writes by hand with the tools that the library stands on: amqp-connection-manager's channel, TypeORM's
 * transaction with the inbox row and the UPDATE, acknowledged after the commit; so many at once.
 */
export default async function work(config: ConsumeConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service, concurrency, count } = config;
  const dataSource = await new DataSource({ type: 'postgres', url: databaseUrl, poolSize: concurrency }).initialize();
  const handle = (id: string, event: OrderPlaced): Promise<void> =>
    dataSource.transaction(async (manager) => {
      const inserted = (await manager.query(`${INSERT_INBOX.text} RETURNING id`, [id])) as unknown[];
      if (inserted.length === 1) await manager.query(DEDUCT, [event.sku, event.quantity]);
    });
  const connection = connect([amqpUrl]);
  let received = 0;
  let acknowledged = 0;
  await new Promise<void>((resolve, reject) => {
    const channel = connection.createChannel({
      setup: async (opened: Channel) => {
        await opened.prefetch(concurrency);
        await opened.consume(`${service}.${EVENT_TYPE}`, onMessage);
      },
    });
    const onMessage = (message: ConsumeMessage | null): void => {
      if (!message) return;
      if (received === 0) stage.begin();
      received += 1;
      const event = JSON.parse(message.content.toString()) as OrderPlaced;
      handle(String(message.properties.messageId), event).then(() => {
        channel.ack(message);
        acknowledged += 1;
        if (acknowledged === count) resolve();
      }, reject);
    };
  });
  stage.end();
  await connection.close();
  await dataSource.destroy();
  return { count: acknowledged };
}
