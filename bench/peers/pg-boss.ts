import type { OrderPayload } from '../works/order-payload';
import { requirePeer } from './installed';
import { Orders } from './orders';
import type { Peer } from './peer';
import { pendingEvents } from './pending-events';

interface PgBoss {
  on(event: 'error', listener: (error: Error) => void): void;
  start(): Promise<unknown>;
  stop(options: { graceful: boolean; wait: boolean }): Promise<void>;
  createQueue(name: string): Promise<void>;
  send(name: string, data: object, options: object): Promise<string | null>;
  insert(jobs: readonly object[]): Promise<void>;
  work(name: string, options: object, handler: (jobs: readonly Job[]) => Promise<void>): Promise<string>;
  notifyWorker(id: string): void;
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
    await boss.createQueue(QUEUE);
    await boss.stop({ graceful: false, wait: true });
  },
  fill: async (databaseUrl, count) => {
    const boss = await startBoss(databaseUrl);
    for (const events of pendingEvents(count))
      await boss.insert(events.map(({ id, payload }) => ({ name: QUEUE, id, data: payload })));
    await boss.stop({ graceful: false, wait: true });
  },
  start: async ({ databaseUrl, clients, publish }) => {
    const boss = await startBoss(databaseUrl);
    const orders = new Orders(databaseUrl, clients, (client, id, payload) => {
      const db = { executeSql: (text: string, values: unknown[]) => client.query(text, values) };
      return boss.send(QUEUE, payload, { id, db });
    });
    const workers: string[] = [];
    for (let number = 0; number < WORKERS; number += 1) {
      const id = await boss.work(QUEUE, { batchSize: BATCH, pollingIntervalSeconds: 0.5 }, async (jobs) => {
        await Promise.all(jobs.map(({ id, data }) => publish(id, data)));
        // A full batch: there are more. Without this a worker rests for the rest of its polling interval.
        if (jobs.length === BATCH) for (const worker of workers) boss.notifyWorker(worker);
      });
      workers.push(id);
    }
    return {
      place: (number) => orders.place(number),
      pending: `SELECT count(*)::int AS pending FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed'`,
    };
  },
};

async function startBoss(databaseUrl: string): Promise<PgBoss> {
  const Boss = requirePeer('pg-boss') as new (options: object) => PgBoss;
  const boss = new Boss({ connectionString: databaseUrl, max: 10, schedule: false });
  boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`));
  await boss.start();
  return boss;
}
