import { PEERS, type PeerName } from '../peers/catalogue';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { runClients } from './clients';
import { openPublisher } from './confirming-publisher';
import type { RecordConfig } from './record-ours';

export interface PeerRecordConfig extends RecordConfig {
  readonly peer: PeerName;
}

/** Business transactions with an event each, by a peer that publishes meanwhile. */
export default async function work(config: PeerRecordConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service, clients, transactions, warmUp, peer } = config;
  const publisher = await openPublisher(amqpUrl, service);
  let published = 0;
  const running = await PEERS[peer].start({
    databaseUrl,
    clients,
    publish: async (id, payload) => {
      await publisher.publish(id, payload);
      published += 1;
    },
  });
  const place = async (number: number): Promise<void> => {
    await running.place(number);
  };
  await runClients(clients, warmUp, place);
  stage.begin();
  const latencies = await runClients(clients, transactions, place);
  stage.end();
  // Nothing is closed: what a peer has not yet published is of no interest, and the process ends anyway.
  return {
    count: transactions,
    figures: { p99: percentile(latencies, 0.99), publishedMeanwhile: published },
  };
}
