import { monotonicMs, pause, waitUntil } from './clock';
import { QUEUES } from './audit/audit';
import { APPS } from './instance';
import type { Landscape } from './landscape';

/** An order that waits longer than this shows that something is broken. */
export const LATE_AFTER_SECONDS = 3;
const SAMPLE_EVERY_MS = 500;
/** So many looks in a row must find nothing. */
const QUIET_LOOKS = 2;

export interface Sample {
  readonly at: number;
  /** Orders that have waited for their decision for longer than `LATE_AFTER_SECONDS`. */
  readonly late: number;
}

/** Looks at the orders while faults are injected: how long until nothing waits any more. */
export class Watch {
  readonly samples: Sample[] = [];
  private running = true;
  private work: Promise<void> = Promise.resolve();

  constructor(private readonly landscape: Landscape) {}

  get late(): number {
    return this.samples.at(-1)?.late ?? 0;
  }

  start(): void {
    this.work = this.run();
  }

  async stop(): Promise<void> {
    this.running = false;
    await this.work;
  }

  private async run(): Promise<void> {
    while (this.running) {
      const rows = await this.landscape
        .query<{ late: number }>(
          'order',
          // Those that were told to fail wait for their retries.
          `SELECT count(*) AS late FROM orders
           WHERE status = 'PENDING' AND sku NOT LIKE 'fault.%' AND created_at < ${this.landscape.database.sql.secondsAgo('$1')}`,
          [LATE_AFTER_SECONDS],
        )
        .catch(() => []);
      if (rows[0]) this.samples.push({ at: monotonicMs(), late: rows[0].late });
      await pause(SAMPLE_EVERY_MS);
    }
  }
}

/** Whether everything has come to its end: orders, events, handlings, queues; and every process is well. */
export async function restlessness(landscape: Landscape): Promise<string[]> {
  const restless: string[] = [];
  const [pending] = await landscape.query<{ count: number }>(
    'order',
    `SELECT count(*) AS count FROM orders WHERE status = 'PENDING'`,
  );
  if (pending && pending.count > 0) restless.push(`${pending.count} orders undecided`);
  for (const app of APPS) {
    const [due] = await landscape.query<{ events: number; handlings: number }>(
      app,
      `SELECT (SELECT count(*) FROM reliable_mq_outbox WHERE due_at IS NOT NULL OR status NOT IN ('consumed', 'dead')) AS events,
         (SELECT count(*) FROM reliable_mq_inbox WHERE due_at IS NOT NULL) AS handlings`,
    );
    if (due && due.events > 0) restless.push(`${due.events} events of ${app} without an end`);
    if (due && due.handlings > 0) restless.push(`${due.handlings} handlings of ${app} without an end`);
  }
  if (restless.length > 0) return restless;
  const unhealthy = await landscape.unhealthy();
  if (unhealthy.length > 0) return unhealthy.map(({ name }) => `${name} is not healthy`);
  const queues = await landscape
    .node()
    .listQueues()
    .catch(() => []);
  for (const name of QUEUES.consumed) {
    const queue = queues.find((one) => one.name === name);
    if (!queue || queue.consumers === 0) restless.push(`queue ${name} is not consumed`);
    else if (queue.messages > 0) restless.push(`queue ${name} holds ${queue.messages} messages`);
  }
  return restless;
}

/** @returns what is still restless after that time; empty: all is quiet */
export async function untilQuiet(
  landscape: Landscape,
  withinMs: number,
  onLook: (restless: readonly string[]) => void,
): Promise<string[]> {
  let last: string[] = [];
  let looks = 0;
  await waitUntil(
    async () => {
      last = await restlessness(landscape).catch((error: unknown) => [String(error)]);
      onLook(last);
      looks = last.length === 0 ? looks + 1 : 0;
      return looks >= QUIET_LOOKS;
    },
    withinMs,
    500,
  );
  return last;
}
