import { randomUUID } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import {
  Compensate,
  EventNotFoundError,
  EventOperations,
  RejectEvent,
  ReliableEventHandler,
  ReliableMqError,
} from 'nestjs-reliable-mq';
import { eventually } from '../support/eventually';
import type { TestApp } from '../support/test-app';
import { DeclaredNote, FreeNote, HastyNote, note, NoteService, Producer, UnconfirmedNote } from './outbox-harness';

/** Handles, or fails, as the test wants it. */
@Injectable()
class Consumer {
  readonly handled: string[] = [];
  failure: Error | undefined;

  @ReliableEventHandler(HastyNote)
  async handle({ text }: HastyNote): Promise<void> {
    if (this.failure) throw this.failure;
    this.handled.push(text);
  }
}

@Injectable()
class Undo {
  readonly undone: string[] = [];

  @Compensate(UnconfirmedNote)
  async undo({ text }: UnconfirmedNote): Promise<void> {
    this.undone.push(text);
  }
}

const UNKNOWN = '01900000-0000-7000-8000-000000000000';

describe('EventOperations', () => {
  const warn = jest.fn<void, unknown[]>();
  let producer: Producer;
  let app: TestApp;
  let operations: EventOperations;
  let notes: NoteService;
  let consumer: Consumer;

  beforeEach(async () => {
    producer = await Producer.create();
    producer.bind({
      'a.note.free': 'note.free',
      'stock.note.declared': 'note.declared',
      'mail.note.declared': 'note.declared',
      'a.note.unconfirmed': 'note.unconfirmed',
    });
    app = await producer.start({ consume: { maxAttempts: 1 } }, [NoteService, Consumer, Undo]);
    operations = app.get(EventOperations);
    notes = app.get(NoteService);
    consumer = app.get(Consumer);
    warn.mockReset();
    Logger.overrideLogger({ log: () => undefined, error: () => undefined, warn });
  });
  afterEach(async () => {
    Logger.overrideLogger(false);
    await producer.dispose();
  });

  /** What the operations have warned of: the text, and what it is about. */
  function warnings(): unknown[][] {
    return warn.mock.calls
      .map(([line]) => /^(Some of [^{]+) (\{.*\})$/.exec(String(line)))
      .flatMap((match) => (match ? [[match[1], JSON.parse(match[2] ?? '')]] : []));
  }

  async function dead(event: object, consumerName = 'a'): Promise<string> {
    const id = await notes.record(event);
    await producer.until(id, { status: 'published' });
    producer.sendReceipts({ eventId: id, consumer: consumerName, outcome: 'dead', reason: 'broken' });
    await producer.until(id, { status: 'dead', due_at: null });
    return id;
  }

  it('list pages through events, newest first, and filters them', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) ids.push(await notes.record(note(FreeNote, `${index}`)));
    const gone = await dead(note(DeclaredNote), 'stock');
    const newestFirst = [gone, ...ids.toReversed()];
    expect((await operations.list()).map(({ id }) => id)).toEqual(newestFirst);
    const page = await operations.list({ limit: 2 });
    expect(page.map(({ id }) => id)).toEqual(newestFirst.slice(0, 2));
    expect((await operations.list({ limit: 2, before: page[1]!.id })).map(({ id }) => id)).toEqual(
      newestFirst.slice(2, 4),
    );
    expect((await operations.list({ status: 'dead' })).map(({ id }) => id)).toEqual([gone]);
    expect((await operations.list({ type: 'note.free' })).map(({ id }) => id)).toEqual(newestFirst.slice(1));
    expect(await operations.list({ status: 'dead', type: 'note.free' })).toEqual([]);
    for (const id of ids) await producer.until(id, { status: 'published' });
    expect(await operations.list({ overdue: true })).toEqual([]);
    await expect(operations.list({ before: "'; --" })).rejects.toThrow(EventNotFoundError);
  });

  it.each<[string, (input: never) => Promise<unknown>, unknown, string]>([
    [
      'a status',
      (x) => operations.list(x),
      { status: 'deda' },
      'status "deda" is unknown; did you mean "dead"? There are pending, published, consumed, dead.',
    ],
    [
      'a filter',
      (x) => operations.list(x),
      { stauts: 'dead' },
      'filter "stauts" is unknown; did you mean "status"? There are status, type, key, causationId, needPerson, overdue, before, limit.',
    ],
    ['a limit', (x) => operations.list(x), { limit: 0 }, 'limit must be a whole number from 1, not 0.'],
    [
      'an inbox status',
      (x) => operations.listInbox(x),
      { status: 'consumed' },
      'status "consumed" is unknown. There are handled, failed, waiting, rejected, dead.',
    ],
    [
      'a DataSource',
      (x) => operations.statistics(x),
      { dataSorce: 'a' },
      'option "dataSorce" is unknown; did you mean "dataSource"? There are dataSource.',
    ],
    [
      'an id to redrive',
      (x) => operations.redrive(x),
      ['x'],
      'eventIds holds what is no event id (a UUID, as record and list return it): "x".',
    ],
    [
      'one id instead of many',
      (x) => operations.discard(x),
      UNKNOWN,
      `eventIds must be an array of event ids: discard(["${UNKNOWN}"]).`,
    ],
    [
      'a key of the inbox',
      (x) => operations.retryInbox(x),
      [{ eventId: 'a' }],
      'keys[0] must be { eventId, consumer }, both with text; consumer is undefined.',
    ],
  ])('refuses %s that cannot be meant, before anything is done', async (_what, call, input, problem) => {
    const error = (await call(input as never).catch((reason: unknown) => reason)) as ReliableMqError;
    expect(error).toBeInstanceOf(ReliableMqError);
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS', details: { problems: [problem] } });
    expect(error.message).toMatch(/^EventOperations\.\w+ cannot do what it was asked for: /);
    expect(error.message).toContain(problem);
  });

  it('get shows an event with its history and what each consumer said', async () => {
    const id = await dead(note(DeclaredNote, 'hello'), 'stock');
    expect(await operations.get(id)).toMatchObject({
      id,
      type: 'note.declared',
      version: 1,
      payload: { text: 'hello' },
      headers: {},
      status: 'dead',
      consumers: ['stock', 'mail'],
      attempts: 1,
      reason: 'stock dead: broken',
      outcomes: [{ consumer: 'stock', outcome: 'dead', reason: 'broken' }],
      redrives: 0,
      dueAt: null,
      compensatedAt: null,
    });
    await expect(operations.get('nonsense')).rejects.toThrow(EventNotFoundError);
    await expect(operations.get('01900000-0000-7000-8000-000000000000')).rejects.toThrow(EventNotFoundError);
  });

  it('statistics count what is unfinished', async () => {
    expect(await operations.statistics()).toMatchObject({
      outbox: { pending: 0, published: 0, dead: 0, compensating: 0, oldestOverdueMs: 0 },
      inbox: { failed: 0, rejected: 0, dead: 0, oldestOverdueMs: 0 },
    });
    const published = await notes.record(note(FreeNote));
    await producer.until(published, { status: 'published' });
    await dead(note(FreeNote));
    consumer.failure = new RejectEvent('never');
    const rejected = await notes.record(note(HastyNote));
    await producer.until(rejected, { status: 'dead', due_at: null });
    expect(await operations.statistics()).toMatchObject({
      outbox: { pending: 0, published: 1, dead: 2, compensating: 0, oldestOverdueMs: 0 },
      inbox: { failed: 0, rejected: 1, dead: 0 },
    });
    await producer.stop(app);
    app = await producer.start({ compensation: { enabled: false } });
    await producer.database.update('outbox', { id: published }, { due_at: { inMs: -60_000 } });
    const { outbox } = await app.get(EventOperations).statistics();
    expect(outbox.oldestOverdueMs).toBeGreaterThanOrEqual(60_000);
    expect((await app.get(EventOperations).list({ overdue: true })).map(({ id }) => id)).toEqual([published]);
  });

  it.each([
    ['failed too often', new Error('broken')],
    ['rejected it', new RejectEvent('never')],
  ])('redrive lets a consumer that %s handle the event after all', async (_what, failure) => {
    consumer.failure = failure;
    const id = await notes.record(note(HastyNote, 'again'));
    await producer.until(id, { status: 'dead', due_at: null });
    consumer.failure = undefined;
    expect(await operations.redrive([id])).toEqual([id]);
    const row = await producer.until(id, {
      status: 'consumed',
      redrives: 1,
      outcomes: { shop: expect.objectContaining({ outcome: 'handled' }) as never },
    });
    expect(row.reason).toBeNull();
    expect(consumer.handled).toEqual(['again']);
  });

  it('a redriven event may die again, with its whole history', async () => {
    consumer.failure = new RejectEvent('never');
    const id = await notes.record(note(HastyNote));
    await producer.until(id, { status: 'dead', due_at: null });
    await operations.redrive([id]);
    await producer.until(id, {
      status: 'dead',
      due_at: null,
      redrives: 1,
      outcomes: { shop: expect.objectContaining({ outcome: 'rejected' }) as never },
    });
  });

  it('redrive sends to the declared consumers that have not handled it, and a late failure of before does not end it', async () => {
    const id = await notes.record(note(DeclaredNote));
    await producer.until(id, { status: 'published' });
    producer.sendReceipts(
      { eventId: id, consumer: 'mail', outcome: 'handled' },
      { eventId: id, consumer: 'stock', outcome: 'dead' },
    );
    await producer.until(id, { status: 'dead', due_at: null });
    await operations.redrive([id]);
    await producer.until(id, {
      status: 'published',
      outcomes: { mail: expect.objectContaining({ outcome: 'handled' }) as never },
    });
    expect(producer.messageIds('stock.note.declared')).toEqual([id, id]);
    expect(producer.messageIds('mail.note.declared')).toEqual([id]);
    expect(producer.broker.messages('stock.note.declared')[1]?.properties['headers']).toMatchObject({
      'reliable-mq-redrives': 1,
    });
    producer.sendReceipts({ eventId: id, consumer: 'stock', outcome: 'dead', redrives: 0 });
    producer.sendReceipts({ eventId: id, consumer: 'stock', outcome: 'handled', redrives: 1 });
    await producer.until(id, { status: 'consumed' });
  });

  it('redrive of an event that every consumer has handled since it died ends it', async () => {
    const id = await notes.record(note(DeclaredNote));
    producer.sendReceipts(
      { eventId: id, consumer: 'mail', outcome: 'handled' },
      { eventId: id, consumer: 'stock', outcome: 'dead' },
    );
    await producer.until(id, { status: 'dead', due_at: null });
    producer.sendReceipts({ eventId: id, consumer: 'stock', outcome: 'handled' });
    await producer.until(id, {
      outcomes: expect.objectContaining({ stock: expect.objectContaining({ outcome: 'handled' }) as never }) as never,
    });
    expect(await operations.redrive([id])).toEqual([id]);
    expect(await producer.row(id)).toMatchObject({ status: 'consumed', due_at: null, reason: null });
    expect((await producer.row(id)).ended_at).not.toBeNull();
  });

  it('redrive leaves out what is not dead, and what was compensated unless that is asked for, and says why', async () => {
    const published = await notes.record(note(FreeNote));
    await producer.until(published, { status: 'published' });
    const id = await notes.record(note(UnconfirmedNote, 'x'));
    await producer.until(id, { status: 'published' });
    await producer.database.update('outbox', { id }, { status: 'dead', due_at: { inMs: 0 } });
    await producer.until(id, { status: 'dead', compensated_at: expect.any(Date) as Date });
    expect(await operations.redrive([published, id.toUpperCase(), UNKNOWN, id])).toEqual([]);
    expect(warnings()).toEqual([
      [
        'Some of the events were not redriven',
        {
          redriven: 0,
          leftOut: 3,
          because: {
            'published, not dead': [published],
            'compensated: pass { evenIfCompensated: true } if it is right to send it although its business was undone':
              [id],
            'not in this outbox: pruned, discarded, or of another service or DataSource': [UNKNOWN],
          },
        },
      ],
    ]);
    expect(app.get(Undo).undone).toEqual(['x']);
    expect(await operations.redrive([id, id.toUpperCase()], { evenIfCompensated: true })).toEqual([id]);
    expect(warnings()).toHaveLength(1);
    await producer.until(id, { status: 'published', due_at: null, compensated_at: null, redrives: 1 });
  });

  it('redrive and discard leave an event alone whose compensation runs', async () => {
    const id = await dead(note(FreeNote));
    await producer.database.update('outbox', { id }, { claim_token: randomUUID(), due_at: { inMs: 3_600_000 } });
    expect(await operations.redrive([id])).toEqual([]);
    expect(await operations.discard([id])).toEqual([]);
    const details = { leftOut: 1, because: { 'its compensation runs: try again when that has ended': [id] } };
    expect(warnings()).toEqual([
      ['Some of the events were not redriven', { redriven: 0, ...details }],
      ['Some of the events were not discarded', { discarded: 0, ...details }],
    ]);
  });

  it('redriving and discarding the same events at once, while receipts for them come, deadlocks nobody', async () => {
    const ids = await Promise.all(Array.from({ length: 40 }, () => notes.record(note(DeclaredNote))));
    for (let round = 0; round < 5; round += 1) {
      producer.sendReceipts(
        ...ids.map((eventId) => ({ eventId, consumer: 'stock', outcome: 'dead', redrives: round })),
      );
      for (const id of ids) await producer.until(id, { status: 'dead', due_at: null });
      const shuffled = (): string[] => ids.toSorted(() => Math.random() - 0.5);
      producer.sendReceipts(...shuffled().map((eventId) => ({ eventId, consumer: 'x', outcome: 'handled' })));
      const redriven = await Promise.all([
        operations.redrive(shuffled()),
        operations.redrive(shuffled()),
        operations.redrive(shuffled()),
      ]);
      expect(redriven.flat().toSorted()).toEqual(ids.toSorted());
    }
  });

  it('discard deletes dead events only', async () => {
    const published = await notes.record(note(FreeNote));
    const id = await dead(note(FreeNote));
    expect(await operations.discard([published, id])).toEqual([id]);
    expect((await producer.rows()).map((row) => row.id)).toEqual([published]);
    expect(warnings()).toEqual([
      [
        'Some of the events were not discarded',
        { discarded: 1, leftOut: 1, because: { 'published, not dead': [published] } },
      ],
    ]);
  });

  it('listInbox shows what failed, and retryInbox tries it again here; the late outcome is kept with the dead event', async () => {
    consumer.failure = new Error('broken');
    const id = await notes.record(note(HastyNote, 'later'));
    await producer.until(id, { status: 'dead', due_at: null });
    const [entry, ...others] = await operations.listInbox();
    expect(await operations.listInbox({ status: 'dead' })).toEqual([entry]);
    expect(others).toEqual([]);
    expect(entry).toMatchObject({
      eventId: id,
      consumer: 'shop',
      type: 'note.hasty',
      attempts: 1,
      body: Buffer.from('{"text":"later"}'),
    });
    expect(await operations.listInbox({ status: 'failed' })).toEqual([]);
    expect(await operations.listInbox({ eventId: id, consumer: 'shop', type: 'note.hasty' })).toHaveLength(1);
    consumer.failure = undefined;
    const key = { eventId: id, consumer: 'shop' };
    expect(await operations.retryInbox([key, key, { eventId: 'unknown', consumer: 'shop' }])).toBe(1);
    const unknown = { 'not in this inbox: pruned, or of another service or DataSource': ['unknown shop'] };
    expect(warnings()).toEqual([
      ['Some of the handlings were not retried', { retried: 1, leftOut: 1, because: unknown }],
    ]);
    await eventually(() => expect(consumer.handled).toEqual(['later']));
    await producer.until(id, {
      status: 'dead',
      outcomes: { shop: expect.objectContaining({ outcome: 'handled' }) as never },
    });
    expect(await operations.retryInbox([key])).toBe(0);
    expect(warnings().at(-1)).toEqual([
      'Some of the handlings were not retried',
      { retried: 0, leftOut: 1, because: { handled: [`${id} shop`] } },
    ]);
    expect(await operations.listInbox()).toEqual([]);
    expect(await operations.listInbox({ eventId: id })).toMatchObject([{ status: 'handled' }]);
  });
});
