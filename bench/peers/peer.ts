import type { OrderPayload } from '../works/order-payload';

/** Hands an event to the broker; resolves when it is confirmed. */
export type Publish = (eventId: string, payload: OrderPayload) => Promise<void>;

/** Another package, used as an outbox as well as its documentation allows. */
export interface Peer {
  /** Makes its tables. The orders' table is already there. */
  readonly setUp: (databaseUrl: string) => Promise<void>;
  /** Writes pending events into its tables. */
  readonly fill: (databaseUrl: string, count: number) => Promise<void>;
  /** Begins to publish what is in its tables and what comes, until the process ends. */
  readonly start: (options: PeerOptions) => Promise<RunningPeer>;
}

export interface PeerOptions {
  readonly databaseUrl: string;
  /** Transactions at the same time. */
  readonly clients: number;
  readonly publish: Publish;
}

export interface RunningPeer {
  /** One transaction: an order row and one event. @returns the event's id, when it has committed */
  readonly place: (number: number) => Promise<string>;
  /** SQL that counts the events which it has not finished with, as `pending`. */
  readonly pending: string;
}
