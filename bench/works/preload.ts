import { connect } from 'amqplib';
import type { Stage, WorkOutcome } from '../work';
import type { ConsumeConfig } from './consume-ours';
import { EVENT_TYPE, payload } from './order-placed';

/** Messages as the library publishes them, so many under way at once. */
export default async function work({ amqpUrl, service, count }: ConsumeConfig, stage: Stage): Promise<WorkOutcome> {
  const connection = await connect(amqpUrl);
  const channel = await connection.createConfirmChannel();
  stage.begin();
  for (let number = 0; number < count; number += 1) {
    const id = `01900000-0000-7000-8000-${String(number).padStart(12, '0')}`;
    channel.publish(service, EVENT_TYPE, Buffer.from(JSON.stringify(payload(id, number))), {
      persistent: true,
      contentType: 'application/json',
      messageId: id,
      type: EVENT_TYPE,
      appId: 'shop',
      replyTo: `${service}.receipts-sink`,
      headers: { 'reliable-mq-version': 1, 'reliable-mq-source': 'default', 'reliable-mq-attempt': 1 },
    });
    if (number % 1_000 === 0) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  stage.end();
  await connection.close();
  return { count };
}
