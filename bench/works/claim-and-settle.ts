import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp, typeOf, UNCHASED } from './app';
import { timeMariadb } from './timed-mariadb';
import { timePostgres } from './timed-postgres';
import type { Timed } from './timed-statements';

export interface ClaimConfig extends Place {
  readonly rounds: number;
  readonly warmUpRounds: number;
  /** Rows that are due in each round: those with the highest ids. They are not due before. */
  readonly due: number;
}

const INTERVAL_MS = 50;
/** Settles of fewer rows say more about the round trip than about the table. */
const SETTLED_AT_LEAST = 100;

/**
 * Again and again so many rows become due; how long the library's own claims and settles take, as the driver sees them. Of the claims
 * the first of each round counts, because the process has nothing else to do then: what is timed is the database, and not the
 * event loop that is busy with the publishing of the batch before.
 */
export default async function work(config: ClaimConfig, stage: Stage): Promise<WorkOutcome> {
  let claimed: Timed | undefined;
  const claims: Timed[] = [];
  const settles: Timed[] = [];
  const time = typeOf(config.databaseUrl) === 'postgres' ? timePostgres : timeMariadb;
  const database = await time(config.databaseUrl, (kind, timed) => {
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
  const round = async (): Promise<void> => {
    settled = 0;
    claimed = undefined;
    await database.makeDue(config.due);
    while (settled < config.due) await new Promise((resolve) => setTimeout(resolve, 5));
    if (claimed) claims.push(claimed);
  };
  for (let number = 0; number < config.warmUpRounds; number += 1) await round();
  claims.length = 0;
  settles.length = 0;
  stage.begin();
  for (let number = 0; number < config.rounds; number += 1) await round();
  stage.end();
  const plans = [await database.explain(claims[0]), await database.explain(settles[0])];
  await database.close();
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
