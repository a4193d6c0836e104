import { Client } from 'pg';
import { PEERS, type PeerName } from '../peers/catalogue';
import type { Stage, WorkOutcome } from '../work';
import { openPublisher } from './confirming-publisher';
import type { DrainConfig } from './drain-ours';

export interface PeerDrainConfig extends DrainConfig {
  readonly peer: PeerName;
}

const UNTIL_FINISHED_MS = 10;

/** Publishes the backlog in a peer's tables; done when the peer has settled the last event. */
export default async function work(config: PeerDrainConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service, count, peer } = config;
  const publisher = await openPublisher(amqpUrl, service);
  let begun = 0;
  let confirmed = 0;
  let done: () => void = () => undefined;
  const allConfirmed = new Promise<void>((resolve) => (done = resolve));
  const running = await PEERS[peer].start({
    databaseUrl,
    clients: 1,
    publish: async (id, payload) => {
      if (begun === 0) stage.begin();
      begun += 1;
      await publisher.publish(id, payload);
      confirmed += 1;
      if (confirmed === count) done();
    },
  });
  await allConfirmed;
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  for (;;) {
    const { rows } = await database.query<{ pending: number }>(running.pending);
    if (rows[0]?.pending === 0) break;
    await new Promise((resolve) => setTimeout(resolve, UNTIL_FINISHED_MS));
  }
  stage.end();
  // Nothing is closed: how long a peer takes to stop is of no interest, and the process ends anyway.
  return { count };
}
