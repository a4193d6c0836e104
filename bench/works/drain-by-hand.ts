import { connect } from 'amqplib';
import type { Stage, WorkOutcome } from '../work';
import type { DrainConfig } from './drain-ours';
import { openByHand } from './hand-database';
import { HandRelay } from './hand-relay';

/** The hand-written relay, batch after batch until nothing is left. */
export default async function work(config: DrainConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service } = config;
  const connection = await connect(amqpUrl);
  const database = openByHand(databaseUrl, 1);
  const relay = new HandRelay(database, await connection.createConfirmChannel(), service);
  stage.begin();
  let count = 0;
  for (let done = await relay.relayBatch(); done > 0; done = await relay.relayBatch()) count += done;
  stage.end();
  await database.close();
  await connection.close();
  return { count };
}
