import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { describeEachDatabase } from '../support/each-database';
import type { TestApp } from '../support/test-app';
import { eventually } from '../support/eventually';
import { LogLines } from '../support/log-lines';
import {
  DeclaredNote,
  FreeNote,
  note,
  NoteService,
  Producer,
  RECEIPTS,
  remembering,
  UnconfirmedNote,
} from './outbox-harness';

describeEachDatabase('Receipts', (database) => {
  let producer: Producer;
  let app: TestApp;
  const { hooks, told } = remembering('consumed', 'dead', 'lateOutcome', 'receiptsReceived', 'receiptsApplied');

  beforeAll(async () => {
    producer = await Producer.create(database);
    producer.bind({
      'a.note.free': 'note.free',
      'a.note.declared': 'note.declared',
      'a.note.unconfirmed': 'note.unconfirmed',
    });
    app = await producer.start({ hooks });
  });
  afterAll(() => producer.dispose());

  function record(event: object): Promise<string> {
    return app.get(NoteService).record(event);
  }

  it('end the event, and are told', async () => {
    const id = await record(note(FreeNote));
    producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'handled' });
    await producer.until(id, { status: 'consumed' });
    await eventually(() => expect(told('consumed')).toContainEqual({ eventId: id }));
    expect(producer.broker.messages(RECEIPTS)).toEqual([]);
  });

  it('of many events in one message are all written', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, () => record(note(FreeNote))));
    producer.sendReceipts(...ids.map((eventId) => ({ eventId, consumer: 'a', outcome: 'handled' })));
    for (const id of ids) await producer.until(id, { status: 'consumed' });
  });

  it('a consumer that gives up ends the event dead, with what every consumer said', async () => {
    const id = await record(note(DeclaredNote));
    producer.sendReceipts(
      { eventId: id, consumer: 'mail', outcome: 'handled' },
      { eventId: id, consumer: 'stock', outcome: 'dead', reason: 'broken' },
    );
    await producer.until(id, { status: 'dead', reason: 'stock dead: broken' });
    await eventually(() =>
      expect(told('dead')).toContainEqual({ eventId: id, type: 'note.declared', reason: 'stock dead: broken' }),
    );
  });

  it('a contradicting outcome after the end is told once', async () => {
    const id = await record(note(DeclaredNote));
    producer.sendReceipts({ eventId: id, consumer: 'stock', outcome: 'rejected', reason: 'no' });
    await producer.until(id, { status: 'dead' });
    for (let times = 0; times < 3; times += 1) {
      producer.sendReceipts({ eventId: id, consumer: 'mail', outcome: 'handled' });
      // Written after it, so that each time is a statement of its own.
      const after = await record(note(FreeNote));
      producer.sendReceipts({ eventId: after, consumer: 'a', outcome: 'handled' });
      await producer.until(after, { status: 'consumed' });
    }
    const late = (told('lateOutcome') as { eventId: string }[]).filter(({ eventId }) => eventId === id);
    expect(late).toEqual([{ eventId: id, consumer: 'mail', outcome: 'handled' }]);
    expect(await producer.row(id)).toMatchObject({ status: 'dead', outcomes: { mail: { outcome: 'handled' } } });
  });

  it.each([
    ['not JSON', 'not json'],
    ['no receipts', '{"receipts": 5}'],
    ['null', 'null'],
    ['nothing', ''],
    ['not UTF-8', Buffer.from([0xff, 0xfe, 0x00])],
    [
      'receipts of every wrong form',
      JSON.stringify({
        receipts: [
          null,
          5,
          {},
          [],
          { eventId: 'x' },
          { eventId: randomUUID(), source: 'default', consumer: 'a', outcome: 'won' },
        ],
      }),
    ],
    [
      'a consumer that no database stores',
      JSON.stringify({
        receipts: [{ eventId: randomUUID(), source: 'default', consumer: 'a\u0000b', outcome: 'handled' }],
      }),
    ],
    [
      'a DataSource that does not exist',
      JSON.stringify({ receipts: [{ eventId: randomUUID(), source: 'elsewhere', consumer: 'a', outcome: 'handled' }] }),
    ],
    [
      'an event that does not exist',
      JSON.stringify({ receipts: [{ eventId: randomUUID(), source: 'default', consumer: 'a', outcome: 'handled' }] }),
    ],
    ['nine megabytes', JSON.stringify({ receipts: [], more: 'x'.repeat(9 * 1024 * 1024) })],
  ])('a message with %s is dropped, and those beside it are written', async (_what, body) => {
    const id = await record(note(FreeNote));
    producer.sendToReceipts(body);
    producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'handled' });
    await producer.until(id, { status: 'consumed' });
    expect(producer.broker.messages(RECEIPTS)).toEqual([]);
  });

  it('what is wrong inside a receipt is made harmless', async () => {
    const id = await record(note(DeclaredNote));
    producer.sendReceipts(
      {
        eventId: id.toUpperCase(),
        consumer: 'stock',
        outcome: 'retrying',
        reason: `a\u0000b\ud800${'x'.repeat(100_000)}`,
        retryAfterMs: Number.MAX_VALUE,
        redrives: -3.5,
      },
      {
        eventId: id,
        consumer: "'; DROP TABLE note; --",
        outcome: 'handled',
        reason: { toString: 'no' } as unknown as string,
      },
    );
    const row = await producer.until(id, {
      outcomes: {
        stock: expect.objectContaining({ outcome: 'retrying' }) as never,
        "'; DROP TABLE note; --": expect.anything() as never,
      },
    });
    expect(row.outcomes['stock']?.reason).toHaveLength(1000);
    expect(row.status).toBe('published');
  });

  it('for an event that expects none change nothing', async () => {
    const id = await record(note(UnconfirmedNote));
    await producer.until(id, { status: 'published', due_at: null });
    const before = await producer.row(id);
    producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'dead' });
    const after = await record(note(FreeNote));
    producer.sendReceipts({ eventId: after, consumer: 'a', outcome: 'handled' });
    await producer.until(after, { status: 'consumed' });
    expect(await producer.row(id)).toEqual(before);
  });

  it('of a consumer that the event does not declare are told once, with the declared one that was probably meant', async () => {
    const log = new LogLines();
    Logger.overrideLogger(log);
    try {
      const [first, second] = [await record(note(DeclaredNote)), await record(note(DeclaredNote))];
      for (const eventId of [first, second]) {
        producer.sendReceipts(
          { eventId, consumer: 'stocks', outcome: 'retrying', reason: 'busy' },
          { eventId, consumer: 'stock', outcome: 'retrying', reason: 'busy' },
        );
        await producer.until(eventId, { outcomes: { stocks: expect.anything() as never } });
      }
      // One that every declared consumer has handled: a listener beside them is no mistake.
      const ended = await record(note(DeclaredNote));
      producer.sendReceipts(
        ...['stock', 'mail', 'audit'].map((consumer) => ({ eventId: ended, consumer, outcome: 'handled' })),
      );
      await producer.until(ended, { status: 'consumed' });
      const told = log.of('A consumer reported on an event that does not declare it');
      expect(told).toMatchObject([{ level: 'warn' }]);
      expect(told[0]?.details).toEqual({
        eventId: first,
        type: 'note.declared',
        consumer: 'stocks',
        outcome: 'retrying',
        declared: ['stock', 'mail'],
        advice: expect.stringContaining('"stock" is declared; did you mean "stocks"?') as string,
      });
    } finally {
      Logger.overrideLogger(false);
    }
  });

  it('for events that the outbox does not hold are counted and told, with what it may mean', async () => {
    const log = new LogLines();
    Logger.overrideLogger(log);
    try {
      const known = await record(note(FreeNote));
      const before = told('receiptsApplied').length;
      const unknown = [randomUUID(), randomUUID(), randomUUID()];
      producer.sendReceipts(
        ...[...unknown, known].map((eventId) => ({ eventId, consumer: 'elsewhere', outcome: 'handled' })),
      );
      await producer.until(known, { status: 'consumed' });
      // Told once, or once for each of the statements that the four were written in.
      await eventually(() => {
        const applied = told('receiptsApplied').slice(before) as { count: number; unknown: number }[];
        expect(applied.reduce((sum, { unknown }) => sum + unknown, 0)).toBe(3);
        expect(applied.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(4);
      });
      const lines = log.of('Consumers reported on events that the outbox does not know');
      expect(lines.filter(({ details }) => details['consumer'] === 'elsewhere')).toMatchObject([
        {
          level: 'warn',
          details: { dataSource: 'default', outcome: 'handled', advice: expect.stringContaining('restored') },
        },
      ]);
    } finally {
      Logger.overrideLogger(false);
    }
  });

  it('in the queue of earlier versions are written too', async () => {
    const id = await record(note(FreeNote));
    await producer.until(id, { status: 'published' });
    producer.broker.declare({ name: 'shop.receipts', kind: 'receipts', bindings: [] });
    const later = await producer.start();
    const body = { receipts: [{ source: 'default', eventId: id, consumer: 'a', outcome: 'handled' }] };
    producer.broker.publish({ queue: 'shop.receipts' }, { body: Buffer.from(JSON.stringify(body)) });
    await producer.until(id, { status: 'consumed' });
    expect(producer.broker.messages('shop.receipts')).toEqual([]);
    await producer.stop(later);
  });

  it('are written when a row that blocked them is free again', async () => {
    const id = await record(note(FreeNote));
    await producer.until(id, { status: 'published' });
    const { database } = producer;
    await database.locking('reliable_mq_outbox', '1 = 1', async () => {
      producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'handled' });
      await eventually(async () => expect(await database.waitingForLocks()).toBe(1));
    });
    await producer.until(id, { status: 'consumed' });
  });

  it('are kept by the broker while no instance runs, and written by the next one', async () => {
    const own = await Producer.create(database);
    try {
      own.bind({ 'a.note.free': 'note.free' });
      const first = await own.start();
      const id = await first.get(NoteService).record(note(FreeNote));
      await own.until(id, { status: 'published' });
      await own.stop(first);
      own.sendReceipts({ eventId: id, consumer: 'a', outcome: 'handled' });
      await own.start();
      await own.until(id, { status: 'consumed' });
    } finally {
      await own.dispose();
    }
  });
});
