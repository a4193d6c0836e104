import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { runClients } from './clients';
import { openByHand } from './hand-database';
import type { RecordConfig } from './record-ours';

/** The same transaction with the event's INSERT written by hand, and nothing that publishes. */
export default async function work(config: RecordConfig, stage: Stage): Promise<WorkOutcome> {
  const { databaseUrl, clients, transactions, warmUp } = config;
  const database = openByHand(databaseUrl, clients);
  const place = (number: number): Promise<void> => database.place(number);
  await runClients(clients, warmUp, place);
  stage.begin();
  const latencies = await runClients(clients, transactions, place);
  stage.end();
  await database.close();
  return { count: transactions, figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) } };
}
