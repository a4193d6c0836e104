import { Client } from 'pg';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp } from './app';

export interface ClaimConfig extends Place {
  readonly rounds: number;
  readonly warmUpRounds: number;
  /** Rows that are due in each round: those with the highest ids. */
  readonly due: number;
}

interface Timed {
  readonly kind: 'claim' | 'settle';
  readonly ms: number;
  readonly text: string;
  readonly values: unknown[];
}

/** Again and again so many rows become due; how long the library's own claims and settles take, as pg sees them. */
export default async function work(config: ClaimConfig, stage: Stage): Promise<WorkOutcome> {
  const timed: Timed[] = [];
  timeStatements(timed);
  let settled = 0;
  const app = await startApp({
    ...config,
    poolSize: 10,
    reliableMq: { compensation: { intervalMs: 100 } },
    hooks: { settled: ({ count }) => (settled += count) },
  });
  const database = new Client({ connectionString: config.databaseUrl });
  await database.connect();
  const round = async (): Promise<void> => {
    settled = 0;
    await database.query(
      `UPDATE reliable_mq_outbox SET status = 'pending', due_at = now(), attempts = 0, published_at = NULL
       WHERE id IN (SELECT id FROM reliable_mq_outbox ORDER BY id DESC LIMIT ${config.due})`,
    );
    while (settled < config.due) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  for (let number = 0; number < config.warmUpRounds; number += 1) await round();
  timed.length = 0;
  stage.begin();
  for (let number = 0; number < config.rounds; number += 1) await round();
  stage.end();
  const claims = timed.filter(({ kind, values }) => kind === 'claim' && values[0] === 'pending');
  const settles = timed.filter(({ kind }) => kind === 'settle');
  const plans = [await explain(database, claims[0]), await explain(database, settles[0])];
  await database.end();
  await app.close();
  const ms = (all: readonly Timed[], share: number): number =>
    percentile(
      all.map((each) => each.ms),
      share,
    );
  return {
    count: config.rounds * config.due,
    figures: { claim: ms(claims, 0.5), claimP99: ms(claims, 0.99), settle: ms(settles, 0.5) },
    notes: { plans },
  };
}

function timeStatements(timed: Timed[]): void {
  const { query } = Client.prototype as unknown as { query: (this: Client, ...args: unknown[]) => unknown };
  Object.assign(Client.prototype, {
    query(this: Client, ...args: unknown[]): unknown {
      const [text, values] = args;
      const kind = typeof text === 'string' ? kindOf(text) : undefined;
      const from = performance.now();
      const result = query.apply(this, args);
      if (kind)
        void (result as Promise<unknown>).then(
          () => timed.push({ kind, ms: performance.now() - from, text: text as string, values: values as unknown[] }),
          () => undefined,
        );
      return result;
    },
  });
}

function kindOf(text: string): Timed['kind'] | undefined {
  if (!text.includes('reliable_mq_outbox')) return undefined;
  if (text.startsWith('WITH due AS')) return 'claim';
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
