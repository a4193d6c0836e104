import { Injectable } from '@nestjs/common';
import { ReliableEventHandler } from 'nestjs-reliable-mq';
import type { EventContext } from 'nestjs-reliable-mq';
import { Client } from 'pg';
import { createTestDatabase } from '../support/database';
import { Consuming, type ConsumingOptions, NoteHandler, NoteTaken, Script } from './consume-harness';

const TIMEOUT_MS = 2_000;
/** What `handlingLeaseMs` makes of it. */
const LEASE = '17s';

@Injectable()
class SharingHandler {
  constructor(readonly script: Script) {}

  @ReliableEventHandler(NoteTaken, { shareCommits: true })
  async take(event: NoteTaken, context: EventContext): Promise<void> {
    await this.script.onEvent(event, context);
  }
}

/** A process that is frozen or gone in the midst of a transaction would hold its locks for hours. */
describe('how long the server waits for the next statement of a transaction', () => {
  async function limitsIn(options: ConsumingOptions, count = 1): Promise<readonly string[]> {
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
      // The session's own setting is what it was.
      await limit((sql) => consuming.app.query(sql));
      return limits;
    } finally {
      await consuming.close();
    }
  }

  it('is a lease for a handler, at its first attempt and at its retries, and no longer that after it', async () => {
    await expect(limitsIn({ providers: [Script, NoteHandler], poolSize: 1 })).resolves.toEqual([LEASE, LEASE, '0']);
  });

  it('is a lease for handlers that share a transaction', async () => {
    await expect(limitsIn({ providers: [Script, SharingHandler], poolSize: 1 }, 3)).resolves.toEqual([
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
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(`ALTER DATABASE "${database.name}" SET idle_in_transaction_session_timeout = '${own}'`);
    await client.end();
    try {
      await expect(limitsIn({ database })).resolves.toEqual([expected, expected, own]);
    } finally {
      await database.drop();
    }
  });
});
