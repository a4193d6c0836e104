import { Injectable } from '@nestjs/common';
import { IsInt, IsString } from 'class-validator';
import {
  type EventContext,
  EventRecorder,
  RejectEvent,
  ReliableEvent,
  ReliableEventHandler,
  type HandlingRef,
} from 'nestjs-reliable-mq';
import { deferred } from '../support/deferred';
import { describeEachDatabase } from '../support/each-database';
import { HEADER } from '../support/wire-headers';
import { eventually } from '../support/eventually';
import { Consuming, NoteHandler, NoteTaken, Script, SERVICE } from './consume-harness';

@ReliableEvent({ type: 'policy.tried' })
class PolicyTried {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'form.sent' })
class FormV1 {
  @IsString() name!: string;
}

@ReliableEvent({ type: 'form.sent', version: 2 })
class FormV2 {
  @IsString() fullName!: string;
  @IsInt() age!: number;
}

@ReliableEvent({ type: 'form.sent', version: 3 })
class FormV3 {
  @IsString() shape!: string;
}

const WAIT_HOURS = 3;
const HOUR_MS = 3_600_000;

/** Of the next release. */
@Injectable()
class NewHandlers {
  readonly forms: FormV3[] = [];

  @ReliableEventHandler(FormV3)
  third(form: FormV3): void {
    this.forms.push(form);
  }
}

@Injectable()
class OtherHandlers {
  readonly policyAttempts: number[] = [];
  readonly forms: (FormV1 | FormV2)[] = [];

  @ReliableEventHandler(PolicyTried, { maxAttempts: 2, backoff: { initialMs: 10 } })
  try(_: PolicyTried, { attempt }: EventContext): void {
    this.policyAttempts.push(attempt);
    throw new Error('never');
  }

  @ReliableEventHandler(FormV1)
  first(form: FormV1): void {
    this.forms.push(form);
  }

  @ReliableEventHandler(FormV2)
  second(form: FormV2): void {
    this.forms.push(form);
  }
}

type Failure = HandlingRef & { reason: string; retryInMs: number | null; outcome: string };

describeEachDatabase('a handler that fails', (database) => {
  let consuming: Consuming;
  const failures: Failure[] = [];

  beforeAll(async () => {
    consuming = await Consuming.start({
      database,
      providers: [Script, NoteHandler, OtherHandlers],
      reliableMq: {
        consume: {
          maxAttempts: 4,
          backoff: { initialMs: 20, maxMs: 60, jitter: 0 },
          waitForHandlerHours: WAIT_HOURS,
        },
        hooks: { handlingFailed: (failure) => failures.push(failure) },
      },
    });
  });
  afterEach(() => {
    consuming.script.onEvent = () => undefined;
  });
  afterAll(() => consuming.dispose());

  const failuresOf = (id: string): Failure[] => failures.filter(({ eventId }) => eventId === id);

  it('leaves nothing behind but its history, is tried again with backoff, and succeeds', async () => {
    consuming.script.onEvent = (_, { attempt }) => {
      if (attempt < 3) throw new Error(`attempt ${attempt} failed`);
    };
    const id = consuming.send('third time', { fromProducer: true });

    const row = await consuming.settled(id, 'handled');

    expect(row).toMatchObject({
      attempts: 3,
      unfinished_starts: 0,
      history: [
        { attempt: 1, reason: 'Error: attempt 1 failed' },
        { attempt: 2, reason: 'Error: attempt 2 failed' },
      ],
    });
    await expect(consuming.notes(id)).resolves.toEqual(['third time']);
    expect(failuresOf(id).map(({ retryInMs }) => retryInMs)).toEqual([20, 40]);
    await eventually(() =>
      expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['retrying', 'retrying', 'handled']),
    );
    expect(consuming.callsOf(id).map(({ event }) => event)).toEqual(
      [1, 2, 3].map(() => expect.any(NoteTaken) as NoteTaken),
    );
  });

  it('is acknowledged at its first failure: the inbox brings it to its end', async () => {
    const mayEnd = deferred();
    consuming.script.onEvent = async (_, { attempt }) => {
      if (attempt === 1) throw new Error('once');
      await mayEnd.promise;
    };
    const id = consuming.send('owned');
    await eventually(() => expect(consuming.callsOf(id).length).toBe(2));
    consuming.broker.goOffline();
    consuming.broker.goOnline();
    mayEnd.resolve();
    await consuming.settled(id, 'handled');
    expect(consuming.callsOf(id).length).toBe(2);
  });

  it('is dead after its last attempt, and the producer learns why', async () => {
    consuming.script.onEvent = () => Promise.reject(new TypeError('x is not a function'));
    const id = consuming.send('hopeless', { fromProducer: true });
    const row = await consuming.settled(id, 'dead');
    expect(row).toMatchObject({
      attempts: 4,
      due_at: null,
      reason: 'given up after 4 attempts: TypeError: x is not a function',
    });
    expect(row.history).toHaveLength(4);
    await eventually(() =>
      expect(consuming.receipts(id).at(-1)).toMatchObject({
        outcome: 'dead',
        consumer: SERVICE,
        reason: 'given up after 4 attempts: TypeError: x is not a function',
      }),
    );
    expect(failuresOf(id).at(-1)).toMatchObject({ outcome: 'dead', retryInMs: null, attempt: 4 });
    consuming.script.onEvent = () => undefined;
    consuming.send('hopeless', { messageId: id, fromProducer: true });
    await eventually(() => expect(consuming.receipts(id).filter(({ outcome }) => outcome === 'dead')).toHaveLength(2));
    expect(consuming.callsOf(id).length).toBe(4);
  });

  it('may have a policy of its own', async () => {
    const id = consuming.send('policy', { type: 'policy.tried' });
    await expect(consuming.settled(id, 'dead')).resolves.toMatchObject({ attempts: 2 });
    expect(consuming.app.get(OtherHandlers).policyAttempts).toEqual([1, 2]);
    expect(failuresOf(id).map(({ retryInMs }) => retryInMs)).toEqual([10, null]);
  });

  it.each([
    ['a reason', 'sold out', 'sold out'],
    ['an empty reason', '', 'rejected without a reason'],
    ['NUL characters and halves of surrogate pairs', 'a\u0000b\ud800', 'ab\ufffd'],
    ['a reason of a megabyte', 'x'.repeat(1_000_000), `${'x'.repeat(999)}…`],
  ])('rejects the event for good with %s', async (_, reason, stored) => {
    consuming.script.onEvent = () => Promise.reject(new RejectEvent(reason));
    const id = consuming.send('reject', { fromProducer: true });
    await expect(consuming.settled(id, 'rejected')).resolves.toMatchObject({
      attempts: 1,
      due_at: null,
      reason: stored,
    });
    await expect(consuming.notes(id)).resolves.toEqual([]);
    await eventually(() => expect(consuming.receipts(id)).toMatchObject([{ outcome: 'rejected', reason: stored }]));
    expect(consuming.callsOf(id).length).toBe(1);
  });

  it.each([
    ['nothing', undefined],
    ['a text', 'broken'],
    ['an object without a prototype', Object.create(null)],
    [
      'an error whose message throws',
      Object.defineProperty(new Error(), 'message', {
        get: () => {
          throw new Error('no');
        },
      }),
    ],
    ['an error with a NUL character and half a surrogate pair', new Error('a\u0000b\udfff')],
  ])('is tried again when it throws %s', async (_, thrown: unknown) => {
    consuming.script.onEvent = (__, { attempt }) => {
      if (attempt === 1) throw thrown;
    };
    const id = consuming.send('odd');
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 2 });
  });

  it.each([
    ['leaves a nested transaction open', (context: EventContext) => context.manager.queryRunner?.startTransaction()],
    ['rolls the transaction back by SQL', (context: EventContext) => context.manager.query('ROLLBACK')],
    [
      'rolls the transaction back itself',
      (context: EventContext) => context.manager.queryRunner?.rollbackTransaction(),
    ],
  ])('fails when it %s', async (_, meddle) => {
    consuming.script.onEvent = async (__, context) => {
      if (context.attempt === 1) await meddle(context);
    };
    const id = consuming.send('meddled');
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 2 });
    await expect(consuming.notes(id)).resolves.toEqual(['meddled']);
    await eventually(async () => expect(await consuming.app.database.idleTransactions()).toEqual([]));
  });

  it('is not tried again when it has committed by SQL of its own: what is committed is handled', async () => {
    consuming.script.onEvent = (_, { manager }) => manager.query('COMMIT');
    const id = consuming.send('hasty', { fromProducer: true });
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1 });
    await eventually(() => expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['handled']));
    await expect(consuming.notes(id)).resolves.toEqual(['hasty']);
  });

  // Elsewhere a statement that fails leaves the rest of its transaction, and constraints say no at once.
  if (database === 'postgres') {
    it('fails when it swallowed an error of the database: nothing of it can be committed', async () => {
      consuming.script.onEvent = async (_, { attempt, manager }) => {
        if (attempt === 1) await manager.query('SELECT 1 / 0').catch(() => undefined);
      };
      const id = consuming.send('swallowed');
      const row = await consuming.settled(id, 'handled');
      expect(row).toMatchObject({
        attempts: 2,
        history: [{ attempt: 1, reason: expect.stringContaining('TransactionAborted') as string }],
      });
      await expect(consuming.notes(id)).resolves.toEqual(['swallowed']);
    });

    it('fails when a constraint says no at the commit', async () => {
      await consuming.app.query('CREATE TABLE IF NOT EXISTS late_check (id int PRIMARY KEY)');
      await consuming.app.query(
        'CREATE TABLE IF NOT EXISTS late_reference (id int REFERENCES late_check DEFERRABLE INITIALLY DEFERRED)',
      );
      consuming.script.onEvent = async (_, { attempt, manager }) => {
        if (attempt === 1) await manager.query('INSERT INTO late_reference VALUES (1)');
      };
      const id = consuming.send('late');
      const row = await consuming.settled(id, 'handled');
      expect(row.history).toMatchObject([{ reason: expect.stringContaining('late_reference') as string }]);
    });
  }

  // There DDL would commit the inbox row, which says that the event is handled, while the handler still runs.
  if (database === 'mariadb') {
    it('fails when it runs DDL, which is not sent; on a connection of its own it may', async () => {
      const sql = 'CREATE TABLE made_by_handler (id int)';
      consuming.script.onEvent = async (_, { attempt, manager }) => {
        if (attempt === 1) await manager.query(sql);
        await consuming.app.get(EventRecorder).outside(() => consuming.app.dataSource.query(sql));
        await manager.query('INSERT INTO made_by_handler VALUES (1)');
      };
      const id = consuming.send('ddl');
      const row = await consuming.settled(id, 'handled');
      expect(row).toMatchObject({
        attempts: 2,
        history: [
          { attempt: 1, reason: expect.stringContaining(`ImplicitCommitError: A handler was about`) as string },
        ],
      });
      await expect(consuming.notes(id)).resolves.toEqual(['ddl']);
      expect(await consuming.app.query('SELECT id FROM made_by_handler')).toEqual([{ id: 1 }]);
    });
  }

  it('is not tried twice at once when a copy comes between its attempts', async () => {
    const mayEnd = deferred();
    consuming.script.onEvent = async (_, { attempt }) => {
      if (attempt === 1) throw new Error('first');
      await mayEnd.promise;
    };
    const id = consuming.send('between', { fromProducer: true });
    await eventually(() => expect(consuming.callsOf(id).length).toBe(2));
    consuming.send('between', { messageId: id, fromProducer: true });
    mayEnd.resolve();
    await eventually(() =>
      expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['retrying', 'handled', 'handled']),
    );
    expect(consuming.callsOf(id).length).toBe(2);
  });

  it('does not hold up other retries while one of them is slow', async () => {
    const mayEnd = deferred();
    consuming.script.onEvent = async ({ text }, { attempt }) => {
      if (attempt === 1) throw new Error('first');
      if (text === 'slow') await mayEnd.promise;
    };
    const slow = consuming.send('slow');
    await eventually(() => expect(consuming.callsOf(slow).length).toBe(2));
    const quick = consuming.send('quick');
    await consuming.settled(quick, 'handled');
    mayEnd.resolve();
    await consuming.settled(slow, 'handled');
  });

  it('starts anew when the producer sends a dead event again by hand, once for each time', async () => {
    consuming.script.onEvent = () => Promise.reject(new RejectEvent('closed'));
    const id = consuming.send('redriven', { fromProducer: true });
    await consuming.settled(id, 'rejected');
    consuming.script.onEvent = () => undefined;
    for (let copy = 0; copy < 2; copy += 1) {
      consuming.send('redriven', { messageId: id, fromProducer: true, headers: { [HEADER.redrives]: 1 } });
    }
    await consuming.settled(id, 'handled');
    await eventually(() =>
      expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['rejected', 'handled', 'handled']),
    );
    expect(consuming.callsOf(id).length).toBe(2);
  });

  describe('and versions', () => {
    const version = (number: unknown) => ({ type: 'form.sent', headers: { [HEADER.version]: number } });

    it('get their own handlers from one queue', async () => {
      const { forms } = consuming.app.get(OtherHandlers);
      const first = consuming.send('', { ...version(1), body: Buffer.from('{"name":"Ada"}') });
      const second = consuming.send('', { ...version(2), body: Buffer.from('{"fullName":"Ada","age":36}') });
      for (const id of [first, second]) await consuming.settled(id, 'handled');
      expect(forms).toEqual(expect.arrayContaining([expect.any(FormV1), expect.any(FormV2)]));
      expect(consuming.broker.queueNames().filter((name) => name.includes('form.sent'))).toEqual([
        `${SERVICE}.form.sent`,
      ]);
    });

    it('that nobody handles wait without an attempt, and are handled at once by a release that knows them', async () => {
      const id = consuming.send('', {
        ...version(3),
        body: Buffer.from('{"shape":"round"}'),
        fromProducer: true,
      });
      const reason =
        'no handler for version 3 of "form.sent"; this service handles 1, 2; it waits for a release that does';
      await expect(consuming.settled(id, 'waiting')).resolves.toMatchObject({ attempts: 0, history: [], reason });
      expect(consuming.waiting(`${SERVICE}.form.sent`)).toBe(0);
      await eventually(() =>
        expect(consuming.receipts(id)).toMatchObject([
          { outcome: 'retrying', reason, retryAfterMs: WAIT_HOURS * HOUR_MS },
        ]),
      );
      // A copy changes nothing.
      consuming.send('', { ...version(3), messageId: id, body: Buffer.from('{"shape":"round"}'), fromProducer: true });
      await eventually(() => expect(consuming.receipts(id)).toHaveLength(2));
      await expect(consuming.settled(id, 'waiting')).resolves.toMatchObject({ attempts: 0 });

      const { broker } = consuming.app;
      const release = await Consuming.start({
        providers: [NewHandlers],
        entities: [],
        broker,
        database: consuming.app.database,
      });
      try {
        await expect(release.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1 });
        expect(release.app.get(NewHandlers).forms).toEqual([Object.assign(new FormV3(), { shape: 'round' })]);
      } finally {
        await release.dispose();
      }
    });

    it('fail like any other when the wait is over', async () => {
      const id = consuming.send('', { ...version(4), body: Buffer.from('{}'), fromProducer: true });
      await consuming.settled(id, 'waiting');
      const YEAR_MS = 365 * 24 * 3_600_000;
      const over = { received_at: { inMs: -YEAR_MS }, due_at: { inMs: 0 } };
      await consuming.app.database.update('inbox', { id }, over);
      await expect(consuming.settled(id, 'dead')).resolves.toMatchObject({
        attempts: 4,
        reason: 'given up after 4 attempts: no handler for version 4 of "form.sent"; this service handles 1, 2',
      });
    });
  });

  it('keeps rows of event types that have no handler here for a release that has one', async () => {
    const id = '0198c0de-0000-7000-8000-000000000001';
    await consuming.app.database.insert('inbox', {
      event_id: id,
      consumer: SERVICE,
      type: 'newer.type',
      version: 1,
      status: 'failed',
      attempts: 1,
      due_at: { inMs: 0 },
      body: Buffer.from('{}'),
      properties: '{}',
    });
    const other = consuming.send('after');
    consuming.script.onEvent = (_, { attempt }) => {
      if (attempt === 1) throw new Error('so that the retry job runs');
    };
    await consuming.settled(other, 'handled');
    await expect(consuming.inbox(id)).resolves.toMatchObject([{ status: 'failed', attempts: 1 }]);
  });
});
