import { DataSource } from 'typeorm';
import { within } from '../../wait/deadline';
import { DatabaseDeadlineError } from '../port';
import { serverOf } from './server';

const OUTSIDE_DEADLINE_MS = 5000;

/**
 * End the server's side of a connection, whatever it waits for: its transaction is rolled back and its locks are freed. Asked on a new
 * connection: those that hang may have taken all of the pool.
 * @param session as the server calls it
 */
export async function killSession(dataSource: DataSource, session: number): Promise<void> {
  // Behind a proxy the number is not the server's, and must not hit somebody else's session.
  if (!serverOf(dataSource).isDirect) return;
  await outsidePool(dataSource, async (outside) => {
    const sql =
      'SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = ? AND DB = DATABASE() AND USER = SUBSTRING_INDEX(USER(), ?, 1)';
    const found = await outside.query<unknown[]>(sql, [session, '@']);
    if (found.length === 0) return;
    // It may have ended by itself meanwhile.
    await outside.query(`KILL ${session}`).catch(() => undefined);
  });
}

/** With a DataSource of one connection, which nothing else of the application belongs to. */
async function outsidePool(dataSource: DataSource, work: (outside: DataSource) => Promise<void>): Promise<void> {
  const outside = new DataSource({
    ...dataSource.options,
    poolSize: 1,
    entities: [],
    subscribers: [],
    migrations: [],
    synchronize: false,
    migrationsRun: false,
    dropSchema: false,
    cache: false,
  } as typeof dataSource.options);
  let isLate = false;
  const close = (): Promise<void> => outside.destroy().catch(() => undefined);
  const opened = outside.initialize().then(() => (isLate ? close() : undefined));
  try {
    await within(
      OUTSIDE_DEADLINE_MS,
      opened.then(() => work(outside)),
      () => new DatabaseDeadlineError(`the database did not answer within ${OUTSIDE_DEADLINE_MS} ms`),
    );
  } finally {
    isLate = true;
    if (outside.isInitialized) void close();
  }
}
