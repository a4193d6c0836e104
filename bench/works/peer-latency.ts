import { PEERS, type PeerName } from '../peers/catalogue';
import type { Stage, WorkOutcome } from '../work';
import { openPublisher } from './confirming-publisher';
import type { LatencyConfig } from './latency-ours';
import { atRate, now } from './pace';

export interface PeerLatencyConfig extends LatencyConfig {
  readonly peer: PeerName;
}

const CLIENTS = 16;

/** The producer's side by a peer: when each event was committed. */
export default async function work(config: PeerLatencyConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, exchange, perSecond, count, warmUp, peer } = config;
  const times: Record<string, number> = {};
  const publisher = await openPublisher(amqpUrl, exchange);
  const running = await PEERS[peer].start({
    databaseUrl,
    clients: CLIENTS,
    publish: (id, payload) => publisher.publish(id, payload),
  });
  const place = async (number: number): Promise<void> => {
    const id = await running.place(number);
    times[id] = now();
  };
  stage.ready();
  await atRate(perSecond, warmUp, place);
  stage.begin();
  await atRate(perSecond, count, place);
  stage.end();
  // What has not left yet leaves while the parent waits; then the process ends.
  await stage.stopped;
  return { count, notes: { times } };
}
