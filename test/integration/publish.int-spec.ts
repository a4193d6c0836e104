import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { DeclaredNote, FreeNote, note, NoteService, Producer, remembering, UnconfirmedNote } from './outbox-harness';

describeEachDatabase('Publishing', (database) => {
  let producer: Producer;

  beforeEach(async () => {
    producer = await Producer.create(database);
  });
  afterEach(() => producer.dispose());

  it('sends an event again to the declared consumers that are missing only, straight to their queues', async () => {
    producer.bind({
      'stock.note.declared': 'note.declared',
      'mail.note.declared': 'note.declared',
      'stranger.note.declared': 'note.declared',
    });
    const app = await producer.start({ receipts: { chaseAfterMs: 100 } });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    await producer.until(id, { status: 'published' });
    producer.sendReceipts({ eventId: id, consumer: 'stock', outcome: 'handled' });
    await eventually(() => expect(producer.messageIds('mail.note.declared').length).toBeGreaterThan(2));
    // Chased perhaps once before the receipt was written.
    expect(producer.messageIds('stock.note.declared').length).toBeLessThanOrEqual(2);
    expect(producer.messageIds('stranger.note.declared')).toEqual([id]);
    producer.sendReceipts({ eventId: id, consumer: 'mail', outcome: 'handled' });
    await producer.until(id, {
      status: 'consumed',
      outcomes: { stock: { outcome: 'handled', reason: null }, mail: { outcome: 'handled', reason: null } },
    });
  });

  it('sends an event without declared consumers through the exchange each time', async () => {
    producer.bind({ 'a.note.free': 'note.free', 'b.note.free': 'note.free' });
    const app = await producer.start({ receipts: { chaseAfterMs: 100 } });
    await app.get(NoteService).record(note(FreeNote));
    await eventually(() => {
      expect(producer.messageIds('a.note.free').length).toBeGreaterThan(1);
      expect(producer.messageIds('b.note.free').length).toBeGreaterThan(1);
    });
  });

  it('one missing queue of two makes the event pending again, with the reason; the other consumer gets it', async () => {
    producer.bind({ 'stock.note.declared': 'note.declared' });
    const app = await producer.start({ receipts: { chaseAfterMs: 100 } });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    await producer.until(id, { status: 'pending', reason: 'queue "mail.note.declared" does not exist' });
    producer.bind({ 'mail.note.declared': 'note.declared' });
    await eventually(() => expect(producer.messageIds('mail.note.declared')).toContain(id));
  });

  it('ends an unconfirmed event when it is published', async () => {
    producer.bind({ 'a.note.unconfirmed': 'note.unconfirmed' });
    const app = await producer.start();
    const id = await app.get(NoteService).record(note(UnconfirmedNote));
    const row = await producer.until(id, { status: 'published', due_at: null });
    expect(row.ended_at).not.toBeNull();
    expect(producer.broker.messages('a.note.unconfirmed')[0]?.properties['replyTo']).toBeUndefined();
  });

  it('what was recorded while the broker was away is published as soon as it is back, not when a lease ends', async () => {
    producer.bind({ 'a.note.free': 'note.free' });
    const app = await producer.start({ publish: { leaseMs: 3_600_000 } });
    producer.broker.goOffline();
    const id = await app.get(NoteService).record(note(FreeNote));
    await producer.until(id, {
      status: 'pending',
      attempts: 0,
      reason: expect.stringContaining('not connected') as string,
    });
    producer.broker.goOnline();
    await producer.until(id, { status: 'published', attempts: 1, reason: null });
  });

  it('claims large events by their bytes, so that a backlog of them takes no more memory than one of small ones', async () => {
    const COUNT = 20;
    producer.bind({ 'a.note.free': 'note.free' });
    const { hooks, told } = remembering('jobBatch');
    const app = await producer.start({
      hooks,
      record: { maxPayloadBytes: 100_000 },
      publish: { bufferBytes: 300_000 },
      compensation: { intervalMs: 100 },
    });
    producer.broker.goOffline();
    const text = 'x'.repeat(90_000);
    const ids = await Promise.all(
      Array.from({ length: COUNT }, () => app.get(NoteService).record(note(FreeNote, text))),
    );
    for (const id of ids) await producer.until(id, { status: 'pending' });
    await producer.database.makeDue('outbox');
    producer.broker.goOnline();
    for (const id of ids) await producer.until(id, { status: 'published' });
    expect(producer.messageIds('a.note.free').toSorted()).toEqual(ids.toSorted());
    const counts = (told('jobBatch') as { count: number }[]).map(({ count }) => count);
    expect(Math.max(...counts)).toBeLessThanOrEqual(4);
  });

  it('tells how late what it claims has become', async () => {
    producer.bind({ 'a.note.free': 'note.free' });
    const { hooks, told } = remembering('jobBatch');
    const app = await producer.start({ hooks, compensation: { intervalMs: 100 } });
    producer.broker.goOffline();
    const id = await app.get(NoteService).record(note(FreeNote));
    await producer.until(id, { status: 'pending', reason: expect.stringContaining('not connected') as string });
    await producer.database.makeDue('outbox', 90_000);
    producer.broker.goOnline();
    await producer.until(id, { status: 'published' });
    const [{ job, overdueMs }] = told('jobBatch') as [{ job: string; overdueMs: number }];
    expect(job).toBe('publish');
    expect(overdueMs).toBeGreaterThanOrEqual(90_000);
  });

  it('holds nothing in memory while the broker is away, and drains the whole backlog when it is back, telling its progress', async () => {
    const COUNT = 5000;
    producer.bind({ 'a.note.free': 'note.free' });
    const { hooks, told } = remembering('deferred', 'publishing', 'jobBatch', 'confirmed');
    const app = await producer.start({
      hooks,
      publish: { windowSize: 100, bufferSize: 100, leaseMs: 60_000 },
      compensation: { intervalMs: 100, batchSize: 200 },
    });
    producer.broker.goOffline();
    await app.get(NoteService).recordMany(COUNT);
    await eventually(() => expect(told('deferred')).toHaveLength(COUNT));
    expect(told('publishing')).toEqual([]);
    // Of those that were deferred a window's worth is given back at once; the others wait for their lease.
    await producer.database.makeDue('outbox');
    producer.broker.goOnline();
    await eventually(async () => {
      const sql = `SELECT count(*) AS count FROM reliable_mq_outbox WHERE status = 'published'`;
      expect(await producer.database.query(sql)).toEqual([{ count: COUNT }]);
    });
    expect(new Set(producer.messageIds('a.note.free')).size).toBe(COUNT);
    expect(producer.messageIds('a.note.free')).toHaveLength(COUNT);
    const batches = told('jobBatch') as { job: string; count: number; overdueMs: number }[];
    expect(batches.filter(({ job }) => job === 'publish').reduce((sum, { count }) => sum + count, 0)).toBe(COUNT);
    expect(Math.max(...batches.map(({ count }) => count))).toBeLessThanOrEqual(200);
    for (const { overdueMs } of batches) expect(overdueMs).toBeGreaterThanOrEqual(0);
  });
});
