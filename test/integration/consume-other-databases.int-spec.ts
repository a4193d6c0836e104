import { getDataSourceToken } from '@nestjs/typeorm';
import { type DataSource, QueryFailedError } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { Consuming, type HandlerCall } from './consume-harness';

const END_OWN_SESSION = 'SELECT pg_terminate_backend(pg_backend_pid())';

describe('a handler that uses another database of the application', () => {
  let consuming: Consuming;
  let ledgerDatabase: TestDatabase;
  let ledger: DataSource;

  beforeAll(async () => {
    ledgerDatabase = await createTestDatabase();
    // Two connections: one for the handler, one for whoever asks.
    consuming = await Consuming.start({ poolSize: 2, more: { ledger: ledgerDatabase } });
    ledger = consuming.app.get<DataSource>(getDataSourceToken('ledger') as string);
  });
  afterEach(() => (consuming.script.onEvent = () => undefined));
  afterAll(async () => {
    await consuming.dispose();
    await ledgerDatabase.drop();
  });

  const notUnique = (): Error => Object.assign(new Error('Duplicate entry'), { code: 'ER_DUP_ENTRY' });

  it.each<[string, () => Promise<unknown>]>([
    ['whose session ends', () => ledger.query(END_OWN_SESSION)],
    [
      'whose session ends, in an error of its own',
      () => ledger.query(END_OWN_SESSION).catch((cause: unknown) => Promise.reject(new Error('no booking', { cause }))),
    ],
    ['of another kind, which refuses a row', () => Promise.reject(new QueryFailedError('INSERT', [], notUnique()))],
  ])('fails as it does by any error, and keeps its connection, for one %s', async (_, fail) => {
    const sessions: number[] = [];
    consuming.script.onEvent = async (__, { attempt, manager }) => {
      sessions.push(await consuming.app.database.sessionOf(manager));
      if (attempt === 1) await fail();
    };
    const id = consuming.send('books');
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 2, history: [{ attempt: 1 }] });
    expect(attemptsOf(consuming.callsOf(id))).toEqual([1, 2]);
    await expect(consuming.app.database.hasSession(sessions[0] as number)).resolves.toBe(true);
  });

  it('is not charged with an outage of the database that its inbox is in', async () => {
    let isDown = true;
    consuming.script.onEvent = async (_, { manager }) => {
      if (!isDown) return;
      isDown = false;
      await manager.query(END_OWN_SESSION);
    };
    const id = consuming.send('is cut off');
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
    await eventually(() => expect(attemptsOf(consuming.callsOf(id))).toEqual([1, 1]));
  });

  it('is not charged with it either when the other database fails with it', async () => {
    let isDown = true;
    consuming.script.onEvent = async (_, { manager }) => {
      if (!isDown) return;
      isDown = false;
      await Promise.allSettled([manager.query(END_OWN_SESSION)]);
      await ledger.query(END_OWN_SESSION);
    };
    const id = consuming.send('both are cut off');
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
  });
});

function attemptsOf(calls: readonly HandlerCall[]): number[] {
  return calls.map(({ context }) => context.attempt);
}
