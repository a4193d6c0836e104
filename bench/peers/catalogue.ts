import { graphileWorker } from './graphile-worker';
import { nestjsOutbox } from './nestjs-outbox';
import type { Peer } from './peer';
import { pgBoss } from './pg-boss';
import { pgTransactionalOutbox } from './pg-transactional-outbox';

/** By the name of the package. */
export const PEERS = {
  'graphile-worker': graphileWorker,
  'pg-boss': pgBoss,
  'pg-transactional-outbox': pgTransactionalOutbox,
  '@fullstackhouse/nestjs-outbox': nestjsOutbox,
} as const satisfies Readonly<Record<string, Peer>>;

export type PeerName = keyof typeof PEERS;

export const PEER_NAMES = Object.keys(PEERS) as readonly PeerName[];
