import { PEERS, type PeerName } from '../peers/catalogue';
import type { WorkOutcome } from '../work';

export interface PeerSetUpConfig {
  readonly peer: PeerName;
  readonly databaseUrl: string;
  /** Events that are pending from the start. */
  readonly pending: number;
}

/** Makes a peer's tables, and a backlog in them. */
export default async function work({ peer, databaseUrl, pending }: PeerSetUpConfig): Promise<WorkOutcome> {
  const { setUp, fill } = PEERS[peer];
  await setUp(databaseUrl);
  await fill(databaseUrl, pending);
  return { count: pending };
}
