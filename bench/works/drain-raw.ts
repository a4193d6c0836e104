import { connect } from 'amqplib';
import type { Stage, WorkOutcome } from '../work';
import type { DrainConfig } from './drain-ours';
import { EVENT_TYPE, payload } from './order-placed';
import { PipelinedPublisher } from './pipelined-publisher';

/** Publishing with confirms, 1,000 at once, and no database: what the broker can take. */
export default async function work({ amqpUrl, service, count }: DrainConfig, stage: Stage): Promise<WorkOutcome> {
  const connection = await connect(amqpUrl);
  const publisher = new PipelinedPublisher(await connection.createConfirmChannel(), service, 1_000);
  const publish = async (from: number, to: number): Promise<void> => {
    for (let number = from; number < to; number += 1) {
      const id = `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
      await publisher.publish(EVENT_TYPE, id, JSON.stringify(payload(id, number)));
    }
    await publisher.confirmed();
  };
  await publish(0, 5_000);
  stage.begin();
  await publish(5_000, 5_000 + count);
  stage.end();
  await connection.close();
  return { count };
}
