import { Injectable } from '@nestjs/common';
import { ReliableEventHandler } from 'nestjs-reliable-mq';
import type { BatchContext, EventContext } from 'nestjs-reliable-mq';
import { createTestDatabase } from '../support/database';
import type { TestAppOptions } from '../support/test-app';
import { Consuming, NoteHandler, NoteTaken, Script } from './consume-harness';

const TIMEOUT_MS = 2_000;
/** What `handlingLeaseMs` makes of it. */
const LEASE = '17s';

@Injectable()
class BatchHandler {
  readonly transactions = new Set<unknown>();

  constructor(readonly script: Script) {}

  @ReliableEventHandler(NoteTaken, { batch: { size: 3, waitMs: 10_000 } })
  async take(events: NoteTaken[], { manager }: BatchContext): Promise<void> {
    const [row] = await manager.query<unknown[]>('SELECT pg_current_xact_id()::text AS id');
    this.transactions.add((row as { id: string }).id);
    for (const event of events) await this.script.onEvent(event, { manager, attempt: 1 } as EventContext);
  }
}

/** A process that is frozen or gone in the midst of a transaction would hold its locks for hours. */
describe('how long a PostgreSQL server waits for the next statement of a transaction', () => {
  async function limitsIn(options: TestAppOptions, count = 1): Promise<readonly string[]> {
    const consuming = await Consuming.start({
      ...options,
      reliableMq: { consume: { timeoutMs: TIMEOUT_MS, prefetch: 10 } },
    });
    try {
      const limits: string[] = [];
      const limit = async (query: (sql: string) => Promise<unknown>): Promise<void> => {
        const [row] = (await query(`SELECT current_setting('idle_in_transaction_session_timeout') AS "limit"`)) as [
          { limit: string },
        ];
        limits.push(row.limit);
      };
      consuming.script.onEvent = async (_, { attempt, manager }) => {
        await limit((sql) => manager.query(sql));
        if (attempt === 1 && count === 1) throw new Error('again');
      };
      const ids = Array.from({ length: count }, () => consuming.send('a'));
      for (const id of ids) await consuming.settled(id, 'handled');
      if (count > 1) expect(consuming.app.get(BatchHandler).transactions.size).toBe(1);
      // The session's own setting is what it was.
      await limit((sql) => consuming.app.dataSource.query(sql));
      return limits;
    } finally {
      await consuming.dispose();
    }
  }

  it('is a lease for a handler, at its first attempt and at its retries, and no longer that after it', async () => {
    await expect(limitsIn({ providers: [Script, NoteHandler], poolSize: 1 })).resolves.toEqual([LEASE, LEASE, '0']);
  });

  it('is a lease for a batch', async () => {
    await expect(limitsIn({ providers: [Script, BatchHandler], poolSize: 1 }, 3)).resolves.toEqual([
      LEASE,
      LEASE,
      LEASE,
      '0',
    ]);
  });

  it.each([
    ['5s', '5s'],
    ['1h', LEASE],
  ])('is what the server’s own setting of %s leaves: %s', async (own, expected) => {
    const database = await createTestDatabase();
    await database.query(`ALTER DATABASE "${database.name}" SET idle_in_transaction_session_timeout = '${own}'`);
    try {
      await expect(limitsIn({ database })).resolves.toEqual([expected, expected, own]);
    } finally {
      await database.drop();
    }
  });

  it('costs a message no attempt when the server has ended the session and the handler has done its part', async () => {
    const consuming = await Consuming.start({ reliableMq: { consume: { maxAttempts: 1 } } });
    try {
      consuming.script.onEvent = async (_, { manager }) => {
        if (consuming.script.calls.length > 1) return;
        const { database } = consuming.app;
        await database.endSession(await database.sessionOf(manager));
      };
      const id = consuming.send('a');
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ history: [] });
      await expect(consuming.notes(id)).resolves.toEqual(['a']);
      expect(consuming.callsOf(id)).toHaveLength(2);
    } finally {
      await consuming.dispose();
    }
  });
});
