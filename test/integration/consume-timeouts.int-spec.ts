import { setTimeout as sleep } from 'node:timers/promises';
import { poolOf } from '../support/connection-pool';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { Consuming, Effect, NoteHandler } from './consume-harness';

const TIMEOUT_MS = 300;

describe('an attempt that takes too long', () => {
  let consuming: Consuming;
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): number => unhandled.push(reason);

  beforeAll(async () => {
    process.on('unhandledRejection', onUnhandled);
    consuming = await Consuming.start({
      poolSize: 4,
      reliableMq: { consume: { timeoutMs: TIMEOUT_MS, prefetch: 2 } },
    });
  });
  afterEach(() => {
    consuming.script.onEvent = () => undefined;
    expect(unhandled).toEqual([]);
  });
  afterAll(async () => {
    await consuming.dispose();
    process.off('unhandledRejection', onUnhandled);
  });

  const never = (): Promise<void> => new Promise(() => undefined);

  it('has failed, its transaction is rolled back, and its slot is free', async () => {
    consuming.script.onEvent = (_, { attempt }) => (attempt === 1 ? never() : undefined);
    const hanging = [consuming.send('hangs'), consuming.send('hangs too')];
    const others = Array.from({ length: 5 }, (_, index) => consuming.send(`other ${index}`));
    for (const id of [...hanging, ...others]) {
      const row = await consuming.settled(id, 'handled');
      expect(row).toMatchObject({
        attempts: 2,
        history: [{ attempt: 1, reason: expect.stringContaining(`within ${TIMEOUT_MS} ms`) as string }],
      });
      await expect(consuming.notes(id)).resolves.toHaveLength(1);
    }
  });

  it('says so when callers waited for a connection of the pool', async () => {
    consuming.script.onEvent = async (_, { attempt, signal }) => {
      if (attempt > 1) return;
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      const others = Array.from({ length: 4 }, () => consuming.app.dataSource.createQueryRunner());
      await Promise.all(
        others.map((other) =>
          other
            .connect()
            .then(() => aborted)
            .then(() => other.release()),
        ),
      );
    };
    const id = consuming.send('greedy');
    const { history } = await consuming.settled(id, 'handled');
    expect(history[0]?.reason).toMatch(/ The connection pool was exhausted, \d+ caller\(s\) waited for a connection: /);
  });

  it('is aborted by its signal', async () => {
    const reasons: unknown[] = [];
    consuming.script.onEvent = async (_, { attempt, signal }) => {
      if (attempt > 1) return;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      reasons.push((signal.reason as Error).name);
    };
    const id = consuming.send('listens');
    await consuming.settled(id, 'handled');
    expect(reasons).toEqual(['HandlerTimeoutError']);
    expect(consuming.callsOf(id)[1]?.context.signal.aborted).toBe(false);
  });

  it('leaves no session at the server that waits for a lock and holds others', async () => {
    const { database } = consuming.app;
    const locked = await consuming.app.repository(Effect).save({ eventId: 'locked', note: 'locked' });
    const sessions: number[] = [];
    consuming.script.onEvent = async (_, { attempt, manager }) => {
      if (attempt > 1) return;
      sessions.push(await database.sessionOf(manager));
      await manager.update(Effect, { id: locked.id }, { note: 'mine' });
    };
    await database.locking('effect', `note = 'locked'`, async () => {
      // All connections of the pool hang, so that none of them is left to end the hanging sessions with.
      const ids = [consuming.send('waits'), consuming.send('waits too')];
      for (const id of ids) await consuming.settled(id, 'handled');

      expect(sessions).toHaveLength(2);
      for (const session of sessions) await eventually(async () => !(await database.hasSession(session)));
    });
  });

  it('cannot write any more when it goes on, and does not harm the process', async () => {
    const [mayGoOn, wentOn] = [deferred(), deferred<unknown[]>()];
    const { effects } = consuming.app.get(NoteHandler);
    consuming.script.onEvent = async (_, { eventId, attempt, manager }) => {
      if (attempt > 1) return;
      await mayGoOn.promise;
      const results = await Promise.allSettled([
        effects.insert({ eventId, note: 'late, through the repository' }),
        effects.save({ eventId, note: 'late, saved' }),
        manager.insert(Effect, { eventId, note: 'late, through the manager' }),
        consuming.app.dataSource.transaction((nested) => nested.insert(Effect, { eventId, note: 'late, nested' })),
        consuming.app.dataSource.query(`INSERT INTO effect ("eventId", note) VALUES ($1, 'late, by SQL')`, [eventId]),
        consuming.app.dataSource
          .createQueryBuilder()
          .insert()
          .into(Effect)
          .values({ eventId, note: 'late, built' })
          .execute(),
      ]);
      wentOn.resolve(results.map(({ status }) => status));
    };
    const id = consuming.send('goes on');
    await consuming.settled(id, 'handled');
    mayGoOn.resolve();
    await expect(wentOn.promise).resolves.toEqual(Array.from({ length: 6 }, () => 'rejected'));
    await expect(consuming.notes(id)).resolves.toEqual(['goes on']);
    expect(consuming.callsOf(id).length).toBe(2);
  });

  it('may also reject later without harming the process', async () => {
    const mayReject = deferred();
    consuming.script.onEvent = async (_, { attempt }) => {
      if (attempt > 1) return;
      await mayReject.promise;
      throw new Error('too late for anybody to care');
    };
    const id = consuming.send('rejects late');
    await consuming.settled(id, 'handled');
    mayReject.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('attempts and a pool that is too small for them', () => {
  it('wait for a connection, all succeed, and no connection is lost', async () => {
    const consuming = await Consuming.start({ poolSize: 2, reliableMq: { consume: { prefetch: 10 } } });
    try {
      let running = 0;
      let most = 0;
      consuming.script.onEvent = async (_, { manager, attempt }) => {
        running += 1;
        most = Math.max(most, running);
        await manager.query('SELECT 1');
        await sleep(10);
        running -= 1;
        if (attempt === 1 && Math.random() < 0.3) throw new Error('now and then');
      };
      const ids = Array.from({ length: 60 }, (_, index) => consuming.send(`crowd ${index}`));
      for (const id of ids) await consuming.settled(id, 'handled');
      for (const id of ids) await expect(consuming.notes(id)).resolves.toHaveLength(1);
      expect(most).toBe(2);
      const pool = () => poolOf(consuming.app.dataSource);
      await eventually(() => expect(pool().idle).toBe(pool().open));
      expect(pool()).toMatchObject({ open: 2, waiting: 0 });
    } finally {
      await consuming.dispose();
    }
  });

  it('are not counted when there is no connection for them', async () => {
    const consuming = await Consuming.start({
      poolSize: 2,
      reliableMq: { consume: { prefetch: 4, timeoutMs: 200 }, compensation: { enabled: false } },
    });
    const taken = await Promise.all(
      [1, 2].map(async () => {
        const queryRunner = consuming.app.dataSource.createQueryRunner();
        await queryRunner.connect();
        return queryRunner;
      }),
    );
    try {
      const ids = [1, 2, 3, 4].map((number) => consuming.send(`starved ${number}`));
      // The fifth that waits asks whether the database is there: an attempt has given up.
      await eventually(() => expect(poolOf(consuming.app.dataSource).waiting).toBeGreaterThan(4));
      for (const queryRunner of taken.splice(0)) await queryRunner.release();
      for (const id of ids)
        await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
    } finally {
      for (const queryRunner of taken) await queryRunner.release();
      await consuming.dispose();
    }
  });
});

describe('attempts', () => {
  it('run side by side up to the prefetch', async () => {
    const consuming = await Consuming.start({ poolSize: 12, reliableMq: { consume: { prefetch: 5 } } });
    try {
      const mayEnd = deferred();
      consuming.script.onEvent = () => mayEnd.promise;
      const ids = Array.from({ length: 12 }, (_, index) => consuming.send(`parallel ${index}`));
      await eventually(() => expect(consuming.script.calls.length).toBe(5));
      await eventually(() => expect(consuming.waiting()).toBe(7));
      expect(consuming.script.calls.length).toBe(5);
      mayEnd.resolve();
      for (const id of ids) await consuming.settled(id, 'handled');
    } finally {
      await consuming.dispose();
    }
  });
});
