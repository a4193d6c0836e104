import { connect } from 'amqplib';
import type { Stage, WorkOutcome } from '../work';
import type { ConsumeConfig } from './consume-ours';
import { openByHand } from './hand-database';
import { EVENT_TYPE, type OrderPlaced } from './order-placed';

/** Transaction, inbox row, UPDATE, commit, acknowledgement; so many at once. */
export default async function work(config: ConsumeConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service, concurrency, count } = config;
  const connection = await connect(amqpUrl);
  const channel = await connection.createChannel();
  await channel.prefetch(concurrency);
  const database = openByHand(databaseUrl, concurrency);
  let received = 0;
  let acknowledged = 0;
  await new Promise<void>((resolve, reject) => {
    void channel.consume(`${service}.${EVENT_TYPE}`, (message) => {
      if (!message) return;
      if (received === 0) stage.begin();
      received += 1;
      const event = JSON.parse(message.content.toString()) as OrderPlaced;
      database.handle(String(message.properties.messageId), event).then(() => {
        channel.ack(message);
        acknowledged += 1;
        if (acknowledged === count) resolve();
      }, reject);
    });
  });
  stage.end();
  await database.close();
  await connection.close();
  return { count: acknowledged };
}
