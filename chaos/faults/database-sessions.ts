import { pause } from '../clock';
import type { Session } from '../database';
import type { AppName } from '../instance';
import type { Landscape } from '../landscape';

/** What business and library write to, by app. */
export const TABLES: Readonly<Record<AppName, readonly string[]>> = {
  order: ['orders', 'reliable_mq_outbox', 'reliable_mq_inbox'],
  inventory: ['stock', 'deductions', 'reliable_mq_outbox', 'reliable_mq_inbox'],
};

const LOCK_WITHIN_SECONDS = 5;

/** Statements in a session of their own: those of a pool may have become read-only. */
export async function alone(landscape: Landscape, app: AppName, statements: readonly string[]): Promise<void> {
  const session = await landscape.session(app);
  try {
    for (const statement of statements) await session.query(statement);
  } finally {
    await session.end();
  }
}

/**
 * Runs statements in a transaction that stays open for so long.
 *
 * @returns whether the session was ended before its time
 */
export async function holding(
  landscape: Landscape,
  app: AppName,
  statements: readonly string[],
  ms: number,
): Promise<boolean> {
  let session: Session | undefined;
  let failed = false;
  try {
    session = await landscape.session(app);
    await session.query(landscape.database.sql.lockTimeout(LOCK_WITHIN_SECONDS));
    await session.query('BEGIN');
    for (const statement of statements) await session.query(statement);
  } catch {
    failed = true;
  }
  const isOver = (): boolean => failed || session?.ended !== false;
  for (let waited = 0; waited < ms && !isOver(); waited += 100) await pause(100);
  const early = isOver();
  await session?.end();
  return early;
}

export async function takeAllConnections(landscape: Landscape): Promise<Session[]> {
  const taken: Session[] = [];
  for (;;) {
    try {
      taken.push(await landscape.database.session(landscape.server.url()));
    } catch {
      return taken;
    }
  }
}
