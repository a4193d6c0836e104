import { Client, type PoolClient } from 'pg';
import { EVENT_TYPE, type OrderPayload } from '../works/order-payload';
import { requirePeer } from './installed';
import { Orders } from './orders';
import type { Peer } from './peer';
import { pendingEvents } from './pending-events';

interface Message {
  readonly id: string;
  readonly payload: OrderPayload;
}

interface PgTransactionalOutbox {
  DatabaseSetup: {
    dropAndCreateTable(config: object): string;
    createPollingFunction(config: object): string;
    setupPollingIndexes(config: object): string;
  };
  getDisabledLogger: () => object;
  initializeMessageStorage: (config: object, logger: object) => (message: object, client: PoolClient) => Promise<void>;
  initializePollingMessageListener: (
    config: object,
    handler: { handle: (message: Message) => Promise<void> },
    logger: object,
    strategies: object,
  ) => unknown;
}

const TABLE = { outboxOrInbox: 'outbox', schema: 'public', table: 'outbox_messages' } as const;
const NEXT_MESSAGES = 'next_outbox_messages';
/** Each message is handled in a transaction of its own: more at once than there are connections wait for one. */
const CONNECTIONS = 50;
const BATCH = 500;
const REFILL_EVERY_MS = 2;

const SETTINGS = {
  dbSchema: TABLE.schema,
  dbTable: TABLE.table,
  nextMessagesFunctionName: NEXT_MESSAGES,
  nextMessagesBatchSize: BATCH,
  nextMessagesLockInMs: 30_000,
  nextMessagesPollingIntervalInMs: 50,
  enableMaxAttemptsProtection: false,
  enablePoisonousMessageProtection: false,
};

const load = (): PgTransactionalOutbox => requirePeer('pg-transactional-outbox') as PgTransactionalOutbox;

export const pgTransactionalOutbox: Peer = {
  setUp: async (databaseUrl) => {
    const { DatabaseSetup } = load();
    await onClient(databaseUrl, async (client) => {
      await client.query(DatabaseSetup.dropAndCreateTable(TABLE));
      await client.query(DatabaseSetup.createPollingFunction({ ...TABLE, nextMessagesName: NEXT_MESSAGES }));
      await client.query(DatabaseSetup.setupPollingIndexes(TABLE));
    });
  },
  fill: async (databaseUrl, count) => {
    await onClient(databaseUrl, async (client) => {
      for (const events of pendingEvents(count))
        await client.query(
          `INSERT INTO ${TABLE.schema}.${TABLE.table} (id, aggregate_type, aggregate_id, message_type, concurrency, payload)
           SELECT (event->>'id')::uuid, 'order', event->>'id', '${EVENT_TYPE}', 'parallel', event->'payload'
           FROM jsonb_array_elements($1::jsonb) AS event`,
          [JSON.stringify(events)],
        );
    });
  },
  start: ({ databaseUrl, clients, publish }) => {
    const { getDisabledLogger, initializeMessageStorage, initializePollingMessageListener } = load();
    const logger = getDisabledLogger();
    const config = {
      outboxOrInbox: 'outbox',
      dbListenerConfig: { connectionString: databaseUrl },
      dbHandlerConfig: { connectionString: databaseUrl, max: CONNECTIONS },
      settings: SETTINGS,
    };
    const store = initializeMessageStorage(config, logger);
    const orders = new Orders(databaseUrl, clients, (client, id, payload) =>
      store(
        { id, aggregateType: 'order', aggregateId: id, messageType: EVENT_TYPE, concurrency: 'parallel', payload },
        client,
      ),
    );
    initializePollingMessageListener(config, { handle: ({ id, payload }) => publish(id, payload) }, logger, {
      batchSizeStrategy: refillWhenHalfEmpty,
    });
    return Promise.resolve({
      place: (number: number) => orders.place(number),
      pending: `SELECT count(*)::int AS pending FROM ${TABLE.schema}.${TABLE.table} WHERE processed_at IS NULL`,
    });
  },
};

/** Its own strategy asks for one message as soon as one is done; each time the database sorts the whole backlog. */
async function refillWhenHalfEmpty(underWay: number): Promise<number> {
  if (underWay <= BATCH / 2) return BATCH;
  await new Promise((resolve) => setTimeout(resolve, REFILL_EVERY_MS));
  return underWay;
}

async function onClient(databaseUrl: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
