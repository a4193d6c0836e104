import { connect } from 'amqplib';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { runClients } from './clients';
import { openByHand } from './hand-database';
import { HandRelay } from './hand-relay';
import type { RecordConfig } from './record-ours';

/** How long the relay sleeps when it found nothing, in milliseconds. Under this load it hardly does. */
const POLL_MS = 10;

/** The same transaction by hand, and the hand-written relay beside it in the same process: an outbox that does publish. */
export default async function work(config: RecordConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service, clients, transactions, warmUp } = config;
  const database = openByHand(databaseUrl, clients);
  const connection = await connect(amqpUrl);
  const relayed = openByHand(databaseUrl, 1);
  const relay = new HandRelay(relayed, await connection.createConfirmChannel(), service);
  let stopped = false;
  let published = 0;
  const relaying = (async () => {
    while (!stopped) {
      const count = await relay.relayBatch();
      published += count;
      if (count === 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  })();
  const place = (number: number): Promise<void> => database.place(number);
  await Promise.race([relaying, runClients(clients, warmUp, place)]);
  stage.begin();
  const recording = runClients(clients, transactions, place);
  await Promise.race([relaying, recording]);
  const latencies = await recording;
  stage.end();
  const publishedMeanwhile = published;
  stopped = true;
  await relaying;
  await Promise.all([database.close(), relayed.close(), connection.close()]);
  return {
    count: transactions,
    figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), publishedMeanwhile },
  };
}
