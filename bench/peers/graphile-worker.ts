import { Client } from 'pg';
import type { OrderPayload } from '../works/order-payload';
import { requirePeer } from './installed';
import { Orders } from './orders';
import type { Peer } from './peer';
import { pendingEvents } from './pending-events';

interface GraphileWorker {
  Logger: new (factory: () => () => void) => object;
  runMigrations: (options: object) => Promise<void>;
  run: (options: object) => Promise<unknown>;
}

interface Job {
  readonly id: string;
  readonly payload: OrderPayload;
}

const TASK = 'publish';
/** With a local queue of several times as many, so that it is filled seldom; completions go in batches. */
const CONCURRENT_JOBS = 250;
const LOCAL_QUEUE = 1_000;
const COMPLETE_WITHIN_MS = 1;

const ADD_JOB = { name: 'add-job', text: `SELECT FROM graphile_worker.add_job('${TASK}', $1::json)` };

const load = (): GraphileWorker => requirePeer('graphile-worker') as GraphileWorker;

export const graphileWorker: Peer = {
  setUp: async (databaseUrl) => {
    const { Logger, runMigrations } = load();
    await runMigrations({ connectionString: databaseUrl, logger: new Logger(() => () => undefined) });
  },
  fill: async (databaseUrl, count) => {
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    for (const events of pendingEvents(count)) {
      await client.query(
        `SELECT FROM graphile_worker.add_jobs((SELECT array_agg(
           json_populate_record(NULL::graphile_worker.job_spec, json_build_object('identifier', '${TASK}', 'payload', event)))
         FROM json_array_elements($1::json) AS event))`,
        [JSON.stringify(events)],
      );
    }
    await client.end();
  },
  start: async ({ databaseUrl, clients, publish }) => {
    const { Logger, run } = load();
    const orders = new Orders(databaseUrl, clients, (client, id, payload) =>
      client.query({ ...ADD_JOB, values: [JSON.stringify({ id, payload })] }),
    );
    await run({
      noHandleSignals: true,
      taskList: { [TASK]: ({ id, payload }: Job) => publish(id, payload) },
      preset: {
        worker: {
          connectionString: databaseUrl,
          logger: new Logger(() => () => undefined),
          concurrentJobs: CONCURRENT_JOBS,
          maxPoolSize: 10,
          localQueue: { size: LOCAL_QUEUE },
          completeJobBatchDelay: COMPLETE_WITHIN_MS,
          pollInterval: 500,
        },
      },
    });
    return {
      place: (number) => orders.place(number),
      pending: 'SELECT count(*)::int AS pending FROM graphile_worker.jobs',
    };
  },
};
