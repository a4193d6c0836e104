import type { OrderPayload } from '../works/order-payload';
import { requirePeer } from './installed';
import { Orders } from './orders';
import type { Peer } from './peer';
import { pendingEvents } from './pending-events';

interface PgBoss {
  on(event: 'error', listener: (error: Error) => void): void;
  start(): Promise<unknown>;
  stop(options: { graceful: boolean }): Promise<void>;
  createQueue(name: string, options: object): Promise<void>;
  send(name: string, data: object, options: object): Promise<string | null>;
  insert(name: string, jobs: readonly object[]): Promise<unknown>;
  work(name: string, options: object, handler: (jobs: readonly Job[]) => Promise<void>): Promise<string>;
}

interface Job {
  readonly id: string;
  readonly data: OrderPayload;
}

const QUEUE = 'publish';
/** Two workers: while one waits for its confirms, the other fetches. */
const WORKERS = 2;
const BATCH = 500;

export const pgBoss: Peer = {
  setUp: async (databaseUrl) => {
    const boss = await startBoss(databaseUrl);
    await boss.createQueue(QUEUE, { notify: true });
    await boss.stop({ graceful: false });
  },
  fill: async (databaseUrl, count) => {
    const boss = await startBoss(databaseUrl);
    for (const events of pendingEvents(count))
      await boss.insert(
        QUEUE,
        events.map(({ id, payload }) => ({ id, data: payload })),
      );
    await boss.stop({ graceful: false });
  },
  start: async ({ databaseUrl, clients, publish }) => {
    const boss = await startBoss(databaseUrl);
    const orders = new Orders(databaseUrl, clients, (client, id, payload) => {
      const db = { executeSql: (text: string, values: unknown[]) => client.query(text, values) };
      return boss.send(QUEUE, payload, { id, db });
    });
    // A full batch: there are more, and the worker fetches on at once.
    const options = {
      batchSize: BATCH,
      pollingIntervalSeconds: 0.5,
      burstWhenBatchFull: true,
      localConcurrency: WORKERS,
    };
    await boss.work(QUEUE, options, async (jobs) => {
      await Promise.all(jobs.map(({ id, data }) => publish(id, data)));
    });
    return {
      place: (number) => orders.place(number),
      pending: `SELECT count(*)::int AS pending FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed'`,
    };
  },
};

async function startBoss(databaseUrl: string): Promise<PgBoss> {
  const { PgBoss } = requirePeer('pg-boss') as { PgBoss: new (options: object) => PgBoss };
  const boss = new PgBoss({ connectionString: databaseUrl, max: 10, schedule: false, useListenNotify: true });
  boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`));
  await boss.start();
  return boss;
}
