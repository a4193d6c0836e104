import { Client, type QueryResult } from 'pg';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp, UNCHASED } from './app';

export interface ClaimConfig extends Place {
  readonly rounds: number;
  readonly warmUpRounds: number;
  /** Rows that are due in each round: those with the highest ids. They are not due before. */
  readonly due: number;
}

type Kind = 'claim' | 'settle';

interface Timed {
  readonly ms: number;
  /** That it claimed or settled. */
  readonly rows: number;
  readonly text: string;
  readonly values: unknown[];
}

const INTERVAL_MS = 50;
/** Settles of fewer rows say more about the round trip than about the table. */
const SETTLED_AT_LEAST = 100;

/**
 * Again and again so many rows become due; how long the library's own claims and settles take, as pg sees them. Of the claims
 * the first of each round counts, because the process has nothing else to do then: what is timed is the database, and not the
 * event loop that is busy with the publishing of the batch before.
 */
export default async function work(config: ClaimConfig, stage: Stage): Promise<WorkOutcome> {
  let claimed: Timed | undefined;
  const claims: Timed[] = [];
  const settles: Timed[] = [];
  timeStatements((kind, timed) => {
    if (kind === 'settle') settles.push(timed);
    else claimed ??= timed;
  });
  let settled = 0;
  const app = await startApp({
    ...config,
    poolSize: 10,
    reliableMq: { ...UNCHASED, compensation: { intervalMs: INTERVAL_MS } },
    hooks: { settled: ({ count }) => (settled += count) },
  });
  const database = new Client({ connectionString: config.databaseUrl });
  await database.connect();
  const round = async (): Promise<void> => {
    settled = 0;
    claimed = undefined;
    await database.query(
      `UPDATE reliable_mq_outbox SET status = 'pending', due_at = now(), attempts = 0, published_at = NULL
       WHERE id IN (SELECT id FROM reliable_mq_outbox ORDER BY id DESC LIMIT ${config.due})`,
    );
    while (settled < config.due) await new Promise((resolve) => setTimeout(resolve, 5));
    if (claimed) claims.push(claimed);
  };
  for (let number = 0; number < config.warmUpRounds; number += 1) await round();
  claims.length = 0;
  settles.length = 0;
  stage.begin();
  for (let number = 0; number < config.rounds; number += 1) await round();
  stage.end();
  const plans = [await explain(database, claims[0]), await explain(database, settles[0])];
  await database.end();
  await app.close();
  const claimMs = claims.map(({ ms }) => ms);
  const settleMs = settles.filter(({ rows }) => rows >= SETTLED_AT_LEAST).map(({ ms, rows }) => (ms / rows) * 500);
  return {
    count: config.rounds * config.due,
    figures: {
      claim: percentile(claimMs, 0.5),
      claimP99: percentile(claimMs, 0.99),
      settle: percentile(settleMs, 0.5),
    },
    notes: { plans },
  };
}

function timeStatements(done: (kind: Kind, timed: Timed) => void): void {
  const { query } = Client.prototype as unknown as { query: (this: Client, ...args: unknown[]) => unknown };
  Object.assign(Client.prototype, {
    query(this: Client, ...args: unknown[]): unknown {
      const [text, values] = args as [string, unknown[]];
      const kind = typeof text === 'string' ? kindOf(text) : undefined;
      const from = performance.now();
      const result = query.apply(this, args);
      if (kind)
        void (result as Promise<QueryResult>).then(
          ({ rowCount }) => {
            const rows = kind === 'claim' ? (rowCount ?? 0) : (values[0] as unknown[]).length;
            if (rows > 0 && (kind === 'settle' || values[0] === 'pending'))
              done(kind, { ms: performance.now() - from, rows, text, values });
          },
          () => undefined,
        );
      return result;
    },
  });
}

function kindOf(text: string): Kind | undefined {
  if (!text.includes('reliable_mq_outbox')) return undefined;
  if (text.startsWith('WITH found AS')) return 'claim';
  return text.startsWith('WITH outcome AS') ? 'settle' : undefined;
}

/** @returns the scans of its plan */
async function explain(database: Client, statement: Timed | undefined): Promise<readonly string[]> {
  if (!statement) return [];
  const { rows } = await database.query<Record<string, string>>(`EXPLAIN ${statement.text}`, statement.values);
  return rows
    .map((row) => Object.values(row)[0] ?? '')
    .filter((line) => /Scan/.test(line) && line.includes('reliable_mq'))
    .map((line) => line.replace(/^[\s->]+/, '').replace(/\s+\(cost.*/, ''));
}
