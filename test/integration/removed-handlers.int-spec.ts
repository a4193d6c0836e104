import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import { EventRecorder, MemoryBroker, ReliableEvent, ReliableEventHandler, ReliableMqHealth } from 'nestjs-reliable-mq';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { LogLines } from '../support/log-lines';
import { QUICK, TestApp } from '../support/test-app';

@ReliableEvent({ type: 'note.kept' })
class KeptNote {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'note.gone' })
class GoneNote {
  @IsString() text!: string;
}

@Injectable()
class KeptHandler {
  @ReliableEventHandler(KeptNote)
  async keep(): Promise<void> {
    throw new Error('not yet');
  }
}

@Injectable()
class GoneHandler {
  @ReliableEventHandler(GoneNote, { backoff: { initialMs: 60_000 } })
  async take(): Promise<void> {
    throw new Error('not yet');
  }
}

describe('a release that lacks a handler of the one before it', () => {
  let app: TestApp | undefined;
  let database: TestDatabase;
  const broker = new MemoryBroker();

  beforeAll(async () => (database = await createTestDatabase()));
  afterAll(async () => {
    await app?.close();
    await database.drop();
  });

  async function start(providers: (typeof KeptHandler | typeof GoneHandler)[], logger: LogLines): Promise<TestApp> {
    app = await TestApp.start({ database, broker, providers, logger, reliableMq: QUICK });
    return app;
  }

  it('is told at boot, with the queue and what waits, and is not healthy; one that has it again is', async () => {
    const before = await start([KeptHandler, GoneHandler], new LogLines());
    const events = before.get(EventRecorder);
    const record = (eventClass: new () => object): Promise<unknown> =>
      events.transaction(() => events.record(Object.assign(new eventClass(), { text: 'a' })));
    await Promise.all([record(KeptNote), record(GoneNote), record(GoneNote)]);
    await eventually(async () =>
      expect(await before.query(`SELECT 1 FROM reliable_mq_inbox WHERE status = 'failed'`)).toHaveLength(3),
    );
    await before.close();

    const log = new LogLines();
    const without = await start([KeptHandler], log);
    expect(log.of('Rows or messages wait for a handler that this release does not have')).toMatchObject([
      { level: 'warn', details: { queue: 'shop.note.gone', rows: 2, messages: 0 } },
    ]);
    await expect(without.get(ReliableMqHealth).check()).resolves.toEqual({
      healthy: false,
      status: 'degraded',
      reasons: [
        'queue "shop.note.gone": 2 rows of the inbox and 0 messages wait for a handler that this release does not have',
      ],
    });
    await without.close();

    const again = await start([KeptHandler, GoneHandler], new LogLines());
    await expect(again.get(ReliableMqHealth).check()).resolves.toEqual({ healthy: true, status: 'up', reasons: [] });
  });
});
