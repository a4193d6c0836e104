import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, RejectEvent, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import type { EventContext, Hooks } from 'nestjs-reliable-mq';
import { Validate, ValidatorConstraint, type ValidatorConstraintInterface } from 'class-validator';
import { DataSource, type QueryRunner, Repository } from 'typeorm';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { Consuming, type ConsumingOptions, Effect, type InboxRowView, NoteTaken, Script } from './consume-harness';

@ReliableEvent({ type: 'note.copied', confirm: false })
class NoteCopied {
  text!: string;
}

@ValidatorConstraint({ async: true })
class Slow implements ValidatorConstraintInterface {
  validate(): Promise<boolean> {
    return new Promise((resolve) => setTimeout(() => resolve(true), 50));
  }
}

/** Takes its time to be validated. */
@ReliableEvent({ type: 'note.checked', confirm: false })
class NoteChecked {
  @Validate(Slow) text!: string;
}

/** The harness's handler, with commits shared between messages. */
@Injectable()
class SharingHandler {
  constructor(
    readonly script: Script,
    readonly events: EventRecorder,
    @InjectRepository(Effect) readonly effects: Repository<Effect>,
  ) {}

  @ReliableEventHandler(NoteTaken, { shareCommits: true })
  async take(event: NoteTaken, context: EventContext): Promise<void> {
    this.script.calls.push({ event, context });
    await this.effects.insert({ eventId: context.eventId, note: event.text });
    await this.script.onEvent(event, context);
  }
}

type Committed = InboxRowView & { readonly transaction: string };

describe('commits that messages share', () => {
  let consuming: Consuming;
  let steps: { readonly step: string; readonly eventId: string }[];

  const note = (step: string) => (argument: { readonly eventId: string }) =>
    void steps.push({ step, eventId: argument.eventId });

  async function start(options: ConsumingOptions = {}): Promise<Consuming> {
    const hooks: Partial<Hooks> = {
      handling: note('handling'),
      handlerReturned: note('handlerReturned'),
      handled: note('handled'),
      handlingFailed: note('handlingFailed'),
      duplicate: note('duplicate'),
    };
    const { reliableMq, ...rest } = options;
    return Consuming.start({
      providers: [Script, SharingHandler],
      ...rest,
      reliableMq: { hooks, ...reliableMq, consume: { prefetch: 20, timeoutMs: 20_000, ...reliableMq?.consume } },
    });
  }

  beforeEach(async () => {
    steps = [];
    consuming = await start();
    // Whatever is slow the first time: a batch that takes too long is cut short.
    await consuming.settled(consuming.send('warm up'), 'handled');
    await consuming.app.query('DELETE FROM reliable_mq_inbox');
    consuming.script.calls.length = 0;
  });
  afterEach(() => consuming.close());

  /** The inbox row with the transaction that has written it. */
  async function transactionOf(eventId: string): Promise<string> {
    const [row] = await consuming.app.query<Committed>(
      'SELECT xmin::text AS transaction FROM reliable_mq_inbox WHERE event_id = $1',
      [eventId],
    );
    return row?.transaction ?? 'no row';
  }

  function sendAll(texts: readonly string[]): string[] {
    return texts.map((text) => consuming.send(text, { fromProducer: true }));
  }

  const stepsOf = (eventId: string): string[] =>
    steps.filter((each) => each.eventId === eventId).map(({ step }) => step);

  it('store the effects and inbox rows of all of them at once', async () => {
    const mayEnd = deferred();
    consuming.script.onEvent = ({ text }) => (text === 'three' ? mayEnd.promise : undefined);
    const ids = sendAll(['one', 'two', 'three']);
    await eventually(() => expect(consuming.script.calls).toHaveLength(3));
    await expect(consuming.inbox()).resolves.toEqual([]);
    mayEnd.resolve();
    for (const id of ids) await consuming.settled(id, 'handled');
    expect(new Set(await Promise.all(ids.map(transactionOf))).size).toBe(1);
    for (const [index, id] of ids.entries()) {
      await expect(consuming.notes(id)).resolves.toEqual([['one', 'two', 'three'][index]]);
      expect(stepsOf(id)).toEqual(['handling', 'handlerReturned', 'handled']);
      await eventually(() => expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['handled']));
    }
    expect(consuming.waiting()).toBe(0);
  });

  it('run handlers in the order of delivery, each with a context of its own', async () => {
    const texts = Array.from({ length: 10 }, (_, index) => `number ${index}`);
    const ids = sendAll(texts);
    for (const id of ids) await consuming.settled(id, 'handled');
    expect(consuming.script.calls.map(({ context }) => context.eventId)).toEqual(ids);
    expect(consuming.script.calls.map(({ event }) => event.text)).toEqual(texts);
    expect(consuming.script.calls.every(({ context }) => context.attempt === 1)).toBe(true);
  });

  it('leave out a message whose handler throws: it alone is retried', async () => {
    consuming.script.onEvent = ({ text }, { attempt }) => {
      if (text === 'fails' && attempt === 1) throw new Error('not yet');
    };
    const [first = '', failing = '', last = ''] = sendAll(['first', 'fails', 'last']);
    const row = await consuming.settled(failing, 'handled');
    expect(row).toMatchObject({ attempts: 2, history: [{ attempt: 1, reason: 'Error: not yet' }] });
    for (const id of [first, last])
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
    expect(await transactionOf(first)).toBe(await transactionOf(last));
    for (const id of [first, last]) expect(consuming.callsOf(id)).toHaveLength(1);
    expect(consuming.callsOf(failing)).toHaveLength(2);
    for (const id of [first, failing, last]) await expect(consuming.notes(id)).resolves.toHaveLength(1);
    await eventually(() =>
      expect(consuming.receipts(failing).map(({ outcome }) => outcome)).toEqual(['retrying', 'handled']),
    );
  });

  it('leave out a message that is rejected, and all of several that fail', async () => {
    consuming.script.onEvent = ({ text }, { attempt, manager }) => {
      if (text === 'rejected') throw new RejectEvent('never');
      if (text === 'bad SQL' && attempt === 1) return manager.query('SELECT 1 / 0');
      if (text === 'swallows' && attempt === 1) return manager.query('SELECT 1 / 0').catch(() => undefined);
      if (text === 'nests' && attempt === 1) return manager.queryRunner?.startTransaction();
      return undefined;
    };
    const texts = ['a', 'rejected', 'b', 'bad SQL', 'swallows', 'c', 'nests', 'd'];
    const ids = sendAll(texts);
    const idOf = (text: string): string => ids[texts.indexOf(text)] ?? '';
    await expect(consuming.settled(idOf('rejected'), 'rejected')).resolves.toMatchObject({ reason: 'never' });
    for (const [text, reason] of [
      ['bad SQL', 'division by zero'],
      ['swallows', 'had failed'],
      ['nests', 'left open'],
    ] as const) {
      await expect(consuming.settled(idOf(text), 'handled')).resolves.toMatchObject({
        attempts: 2,
        history: [{ attempt: 1, reason: expect.stringContaining(reason) as string }],
      });
    }
    const good = ['a', 'b', 'c', 'd'].map(idOf);
    expect(new Set(await Promise.all(good.map(transactionOf))).size).toBe(1);
    for (const id of good) expect(consuming.callsOf(id)).toHaveLength(1);
    for (const id of ids.filter((each) => each !== idOf('rejected')))
      await expect(consuming.notes(id)).resolves.toHaveLength(1);
    await expect(consuming.notes(idOf('rejected'))).resolves.toEqual([]);
  });

  it('handle a duplicate once, within a batch and across batches', async () => {
    const mayEnd = deferred();
    consuming.script.onEvent = () => mayEnd.promise;
    const [first = '', second = ''] = sendAll(['first', 'second']);
    for (let copy = 0; copy < 3; copy += 1) consuming.send('first', { messageId: first, fromProducer: true });
    mayEnd.resolve();
    await eventually(() => expect(consuming.waiting()).toBe(0));
    sendAll(['more']);
    for (const id of [first, second]) consuming.send('again', { messageId: id, fromProducer: true });
    await eventually(() => expect(consuming.receipts(first)).toHaveLength(5));
    await eventually(() => expect(consuming.receipts(second)).toHaveLength(2));
    for (const id of [first, second]) {
      expect(consuming.callsOf(id)).toHaveLength(1);
      await expect(consuming.notes(id)).resolves.toHaveLength(1);
      expect(consuming.receipts(id).every(({ outcome }) => outcome === 'handled')).toBe(true);
    }
    expect(stepsOf(first).filter((step) => step === 'duplicate')).toHaveLength(4);
    await eventually(() => expect(consuming.waiting()).toBe(0));
  });

  it('record the events of those that were handled, and of no other', async () => {
    const { events } = consuming.app.get(SharingHandler);
    consuming.script.onEvent = async ({ text }, { attempt }) => {
      await events.record(Object.assign(new NoteCopied(), { text: `${text} ${attempt}` }));
      if (text === 'fails' && attempt === 1) throw new Error('not yet');
    };
    const ids = sendAll(['first', 'fails', 'last']);
    for (const id of ids) await consuming.settled(id, 'handled');
    const published = await eventually(async () => {
      const rows = await consuming.app.query<{ text: string; status: string }>(
        `SELECT payload ->> 'text' AS text, status FROM reliable_mq_outbox ORDER BY 1`,
      );
      expect(rows).toHaveLength(3);
      return rows;
    });
    expect(published.map(({ text }) => text)).toEqual(['fails 2', 'first 1', 'last 1']);
  });

  it('fail the one whose event cannot be inserted, also when it did not await that, and nobody beside it', async () => {
    await consuming.app.query(
      `ALTER TABLE reliable_mq_outbox ADD CONSTRAINT no_poison CHECK (payload ->> 'text' <> 'poison')`,
    );
    const { events } = consuming.app.get(SharingHandler);
    consuming.script.onEvent = ({ text }, { attempt }) => {
      if (text !== 'records') return;
      const recorded = events.record(Object.assign(new NoteChecked(), { text: attempt === 1 ? 'poison' : 'fine' }));
      recorded.catch(() => undefined);
    };
    const [first = '', records = '', last = ''] = sendAll(['first', 'records', 'last']);
    const row = await consuming.settled(records, 'handled');
    expect(row).toMatchObject({ attempts: 2, history: [{ attempt: 1, reason: expect.stringContaining('no_poison') }] });
    for (const id of [first, last])
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
    for (const id of [first, records, last]) await expect(consuming.notes(id)).resolves.toHaveLength(1);
    const stored = await consuming.app.query(`SELECT payload ->> 'text' AS text FROM reliable_mq_outbox`);
    expect(stored).toEqual([{ text: 'fine' }]);
  });

  it('keep what a handler does in savepoints of its own', async () => {
    consuming.script.onEvent = async ({ text }, { eventId, manager }) => {
      await manager.transaction((nested) => nested.insert(Effect, { eventId, note: `${text}, nested` }));
      await manager
        .transaction(async (nested) => {
          await nested.insert(Effect, { eventId, note: `${text}, undone` });
          throw new Error('undo');
        })
        .catch(() => undefined);
    };
    const ids = sendAll(['a', 'b']);
    for (const id of ids) await consuming.settled(id, 'handled');
    expect(await transactionOf(ids[0] ?? '')).toBe(await transactionOf(ids[1] ?? ''));
    await expect(consuming.notes(ids[0] ?? '')).resolves.toEqual(['a', 'a, nested']);
    await expect(consuming.notes(ids[1] ?? '')).resolves.toEqual(['b', 'b, nested']);
  });

  it('fail the culprit alone when a deferred constraint refuses the COMMIT', async () => {
    await consuming.app.query(
      `CREATE TABLE allowed (note text PRIMARY KEY);
       ALTER TABLE effect ADD COLUMN checked text REFERENCES allowed DEFERRABLE INITIALLY DEFERRED`,
    );
    consuming.script.onEvent = async ({ text }, { manager, eventId, attempt }) => {
      if (text === 'culprit' && attempt === 1)
        await manager.query(`UPDATE effect SET checked = 'nothing such' WHERE "eventId" = $1`, [eventId]);
    };
    const [first = '', culprit = '', last = ''] = sendAll(['first', 'culprit', 'last']);
    await expect(consuming.settled(culprit, 'handled')).resolves.toMatchObject({
      attempts: 2,
      history: [{ attempt: 1, reason: expect.stringContaining('foreign key') as string }],
    });
    for (const id of [first, last]) {
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
      await expect(consuming.notes(id)).resolves.toHaveLength(1);
      // Once in the batch, and once more alone.
      expect(consuming.callsOf(id)).toHaveLength(2);
    }
  });

  it.each(['COMMIT', 'COMMIT; BEGIN', 'ROLLBACK'])(
    'lose nobody else when a handler ends the transaction by SQL of its own: %s',
    async (sql) => {
      consuming.script.onEvent = async ({ text }, { manager, attempt }) => {
        if (text === 'ends it' && attempt === 1) await manager.query(sql);
      };
      const ids = sendAll(['first', 'ends it', 'last', 'very last']);
      // The COMMIT stores the inbox rows of all for a moment, also of those that nobody has handled yet.
      await eventually(async () => {
        for (const id of ids) await expect(consuming.notes(id)).resolves.toHaveLength(1);
      });
      for (const id of ids) await consuming.settled(id, 'handled');
      await eventually(() => expect(consuming.waiting()).toBe(0));
    },
  );

  it('lose and double nothing when their connection is ended', async () => {
    const [entered, mayGoOn] = [deferred<number>(), deferred()];
    let calls = 0;
    consuming.script.onEvent = async ({ text }, { manager }) => {
      calls += 1;
      if (text !== 'second' || calls > 3) return;
      const [session] = await manager.query<[{ pid: number }]>('SELECT pg_backend_pid() AS pid');
      entered.resolve(session.pid);
      await mayGoOn.promise;
    };
    const ids = sendAll(['first', 'second', 'third']);
    await consuming.app.query('SELECT pg_terminate_backend($1)', [await entered.promise]);
    mayGoOn.resolve();
    for (const id of ids) {
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
      await expect(consuming.notes(id)).resolves.toHaveLength(1);
    }
  });

  it('are given up for a deadlock, which costs nobody an attempt', async () => {
    const [holds, mayLock] = [deferred(), deferred()];
    await consuming.app.query('CREATE TABLE shelf (id int PRIMARY KEY); INSERT INTO shelf VALUES (1), (2)');
    const lock = (id: number, runner: Pick<QueryRunner, 'query'>): Promise<unknown> =>
      runner.query('SELECT FROM shelf WHERE id = $1 FOR UPDATE', [id]);
    let first = true;
    consuming.script.onEvent = async ({ text }, { manager }) => {
      if (text === 'two') {
        await manager.query(`SET LOCAL deadlock_timeout = '10ms'`);
        if (first) {
          first = false;
          holds.resolve();
          await mayLock.promise;
        }
      }
      await lock(text === 'one' ? 1 : 2, manager.queryRunner as QueryRunner);
    };
    const other = new DataSource({ type: 'postgres', url: consuming.database.url });
    await other.initialize();
    const runner = other.createQueryRunner();
    try {
      await runner.startTransaction();
      await runner.query(`SET LOCAL deadlock_timeout = '1min'`);
      await lock(2, runner);
      const ids = sendAll(['one', 'two']);
      await holds.promise;
      const locked = lock(1, runner);
      await eventually(async () => {
        const [waits] = await consuming.app.query<{ count: number }>(
          `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        expect(waits?.count).toBe(1);
      });
      mayLock.resolve();
      await locked;
      await runner.commitTransaction();
      for (const id of ids)
        await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1, history: [] });
    } finally {
      await runner.release();
      await other.destroy();
    }
  });

  it('keep what one handler leaves behind out of its neighbours', async () => {
    const late = deferred();
    consuming.script.onEvent = ({ text }, { manager, attempt }) => {
      if (text !== 'careless' || attempt > 1) return;
      // Nobody awaits it, and it fails when the handler has returned.
      manager.query('SELECT pg_sleep(0.02), 1 / (random() * 0)::int').catch(() => late.resolve());
    };
    const ids = sendAll(['first', 'careless', 'last']);
    await late.promise;
    for (const id of ids) {
      await consuming.settled(id, 'handled');
      await expect(consuming.notes(id)).resolves.toHaveLength(1);
    }
    const [first = '', careless = '', last = ''] = ids;
    await expect(consuming.settled(careless, 'handled')).resolves.toMatchObject({ attempts: 2 });
    expect(await transactionOf(first)).toBe(await transactionOf(last));
  });
});

describe('commits that messages share, and handlers that take long', () => {
  const never = (): Promise<void> => new Promise(() => undefined);

  it('fail a handler that hangs, and nobody else', async () => {
    const consuming = await Consuming.start({
      providers: [Script, SharingHandler],
      reliableMq: { consume: { prefetch: 20, timeoutMs: 400 } },
    });
    try {
      const signals: unknown[] = [];
      consuming.script.onEvent = async ({ text }, { attempt, signal }) => {
        if (text !== 'hangs' || attempt > 1) return;
        signal.addEventListener('abort', () => signals.push((signal.reason as Error).name));
        await never();
      };
      const texts = ['first', 'hangs', 'last', ...Array.from({ length: 12 }, (_, index) => `more ${index}`)];
      const ids = texts.map((text) => consuming.send(text));
      for (const [index, id] of ids.entries()) {
        const hangs = texts[index] === 'hangs';
        await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({
          attempts: hangs ? 2 : 1,
          history: hangs ? [{ attempt: 1, reason: expect.stringContaining('within 400 ms') as string }] : [],
        });
        await expect(consuming.notes(id)).resolves.toHaveLength(1);
      }
      expect(signals).toEqual(['HandlerTimeoutError']);
    } finally {
      await consuming.close();
    }
  });

  it('let messages run side by side that would wait for it', async () => {
    const consuming = await Consuming.start({
      providers: [Script, SharingHandler],
      reliableMq: { consume: { prefetch: 8 } },
      poolSize: 12,
    });
    try {
      const mayEnd = deferred();
      consuming.script.onEvent = ({ text }) => (text === 'slow' ? mayEnd.promise : undefined);
      const slow = consuming.send('slow');
      await eventually(() => expect(consuming.callsOf(slow)).toHaveLength(1));
      const others = Array.from({ length: 4 }, (_, index) => consuming.send(`other ${index}`));
      for (const id of others) await consuming.settled(id, 'handled');
      await consuming.settled(consuming.send('one more'), 'handled');
      await expect(consuming.inbox(slow)).resolves.toEqual([]);
      mayEnd.resolve();
      await consuming.settled(slow, 'handled');
    } finally {
      await consuming.close();
    }
  });

  it('are finished when the process stops within its time, and given back when it must stop sooner', async () => {
    for (const [drainMs, status] of [
      [10_000, 'handled'],
      [100, undefined],
    ] as const) {
      const consuming = await Consuming.start({
        providers: [Script, SharingHandler],
        reliableMq: { shutdown: { drainMs } },
      });
      const watching = await new DataSource({ type: 'postgres', url: consuming.database.url }).initialize();
      try {
        const [entered, mayEnd] = [deferred(), deferred()];
        consuming.script.onEvent = async ({ text }) => {
          if (text !== 'second') return;
          entered.resolve();
          await (status ? mayEnd.promise : never());
        };
        for (const text of ['first', 'second', 'third']) consuming.send(text);
        await entered.promise;
        const closed = consuming.app.close();
        mayEnd.resolve();
        await closed;
        const rows = await watching.query<{ status: string }[]>('SELECT status FROM reliable_mq_inbox');
        expect(rows).toEqual(status ? [{ status }, { status }, { status }] : []);
        expect(consuming.waiting()).toBe(status ? 0 : 3);
      } finally {
        await watching.destroy();
        await consuming.database.drop();
      }
    }
  });
});
