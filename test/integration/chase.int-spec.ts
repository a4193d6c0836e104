import { DeclaredNote, FreeNote, HastyNote, note, NoteService, Producer, remembering } from './outbox-harness';
import { eventually } from '../support/eventually';

describe('Chasing receipts', () => {
  let producer: Producer;

  beforeEach(async () => {
    producer = await Producer.create();
  });
  afterEach(() => producer.dispose());

  it('gives an event up when nobody has reported after its last attempt', async () => {
    producer.bind({ 'a.note.free': 'note.free' });
    const { hooks, told } = remembering('dead');
    const app = await producer.start({
      hooks,
      receipts: { chaseAfterMs: 100 },
      publish: { maxAttempts: 3, backoff: { initialMs: 1, maxMs: 100 } },
    });
    const id = await app.get(NoteService).record(note(FreeNote));
    const reason = 'no receipt from any consumer after publishing 3 times';
    const row = await producer.until(id, { status: 'dead', reason, due_at: null });
    expect(row.history.at(-1)).toMatchObject({ reason });
    expect(producer.messageIds('a.note.free')).toEqual([id, id, id]);
    await eventually(() => expect(told('dead')).toEqual([{ eventId: id, type: 'note.free', reason }]));
  });

  it('names the declared consumers that are missing', async () => {
    producer.bind({ 'stock.note.declared': 'note.declared', 'mail.note.declared': 'note.declared' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 200 },
      publish: { maxAttempts: 2, backoff: { initialMs: 1, maxMs: 100 } },
    });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    producer.sendReceipts({ eventId: id, consumer: 'stock', outcome: 'handled' });
    await producer.until(id, {
      status: 'dead',
      reason: 'no receipt from mail after publishing 2 times; nobody consumes queue "mail.note.declared"',
    });
  });

  it('leaves alone what may still wait for a consumer that is behind, and says so; what was lost it publishes again', async () => {
    producer.bind({ 'stock.note.declared': 'note.declared', 'mail.note.declared': 'note.declared' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 300 },
      publish: { maxAttempts: 20, backoff: { initialMs: 1, maxMs: 300 } },
    });
    const service = app.get(NoteService);
    const ids = [await service.record(note(DeclaredNote)), await service.record(note(DeclaredNote))];
    for (const id of ids) producer.sendReceipts({ eventId: id, consumer: 'mail', outcome: 'handled' });
    const reason = 'nobody consumes queue "stock.note.declared": 2 messages wait in it or in its parking queue';
    for (const id of ids) await producer.until(id, { status: 'published', attempts: 1, reason });
    expect(producer.messageIds('stock.note.declared')).toEqual(ids);

    producer.broker.purge('stock.note.declared');
    await eventually(() => expect(producer.messageIds('stock.note.declared').sort()).toEqual([...ids].sort()));
    for (const id of ids) await producer.until(id, { status: 'published', attempts: 2 });
  });

  it('leaves alone what the broker has dead-lettered while nobody consumes its queue', async () => {
    const parkingQueue = 'stock.parked';
    producer.broker.declare({ name: 'stock.note.declared', kind: 'events', bindings: ['note.declared'], parkingQueue });
    producer.bind({ 'mail.note.declared': 'note.declared' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 300 },
      publish: { maxAttempts: 20, backoff: { initialMs: 1, maxMs: 300 } },
    });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    producer.sendReceipts({ eventId: id, consumer: 'mail', outcome: 'handled' });
    await eventually(() => producer.broker.deadLetter('stock.note.declared') === 1);
    const reason = 'nobody consumes queue "stock.note.declared": 1 messages wait in it or in its parking queue';
    await producer.until(id, { status: 'published', attempts: 1, reason });
  });

  it('publishes again what has waited for very long, for it may be lost while others wait in its queue', async () => {
    producer.bind({ 'stock.note.declared': 'note.declared', 'mail.note.declared': 'note.declared' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 100 },
      publish: { backoff: { initialMs: 1, maxMs: 100 } },
    });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    await eventually(() => expect(producer.messageIds('stock.note.declared').length).toBeGreaterThan(1));
    expect(new Set(producer.messageIds('stock.note.declared'))).toEqual(new Set([id]));
  });

  it('gives up an event whose consumer has no queue for good, and sends one that is behind no further copy meanwhile', async () => {
    producer.bind({ 'stock.note.declared': 'note.declared' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 2_000 },
      publish: { maxAttempts: 6, backoff: { initialMs: 1, maxMs: 50 } },
    });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    const { reason } = await producer.until(id, { status: 'dead', attempts: 6 });
    expect(reason).toMatch(/^given up after 6 attempts to publish: .*mail\.note\.declared/);
    expect(producer.messageIds('stock.note.declared')).toEqual([id]);
  });

  it('publishes again what one consumer lost while another has no queue, and to that one as soon as it has', async () => {
    producer.bind({ 'stock.note.declared': 'note.declared' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 1_000 },
      publish: { maxAttempts: 1_000, backoff: { initialMs: 1, maxMs: 50 } },
    });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    await eventually(async () => {
      const { status, attempts } = await producer.row(id);
      expect({ status, isTriedAgain: attempts > 2 }).toEqual({ status: 'pending', isTriedAgain: true });
    });
    producer.broker.purge('stock.note.declared');
    await eventually(() => expect(producer.messageIds('stock.note.declared')).toEqual([id]));
    producer.bind({ 'mail.note.declared': 'note.declared' });
    await producer.until(id, { status: 'published' });
    expect(producer.messageIds('mail.note.declared')).toEqual([id]);
    const handled = ['stock', 'mail'].map((consumer) => ({ eventId: id, consumer, outcome: 'handled' }));
    producer.sendReceipts(...handled);
    await producer.until(id, { status: 'consumed' });
  });

  it('publishes to everybody again what has waited for very long, also while one consumer has no queue', async () => {
    producer.bind({ 'stock.note.declared': 'note.declared' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 100 },
      publish: { maxAttempts: 1_000, backoff: { initialMs: 1, maxMs: 50 } },
    });
    const id = await app.get(NoteService).record(note(DeclaredNote));
    await eventually(() => expect(producer.messageIds('stock.note.declared').length).toBeGreaterThan(1));
    await producer.until(id, { status: 'pending' });
  });

  it('follows the policy of the event type', async () => {
    producer.bind({ 'a.note.hasty': 'note.hasty', 'a.note.free': 'note.free' });
    const app = await producer.start({
      receipts: { chaseAfterMs: 100 },
      publish: { backoff: { initialMs: 1, maxMs: 100 } },
    });
    const patient = await app.get(NoteService).record(note(FreeNote));
    const hasty = await app.get(NoteService).record(note(HastyNote));
    await producer.until(hasty, { status: 'dead', reason: 'no receipt from any consumer after publishing 2 times' });
    expect(await producer.row(patient)).toMatchObject({ status: 'published' });
  });

  it('an event of a type with its own policy that is routed nowhere ends dead after its attempts, with its history', async () => {
    const app = await producer.start();
    const id = await app.get(NoteService).record(note(HastyNote));
    const { history } = await producer.until(id, { status: 'dead', attempts: 2 });
    expect(history).toMatchObject([
      { attempt: 1, reason: expect.stringContaining('no queue is bound') as string },
      {
        attempt: 2,
        reason: expect.stringContaining('given up after 2 attempts to publish: no queue is bound') as string,
      },
    ]);
  });

  it('does not chase an event whose consumer says that it tries again', async () => {
    producer.bind({ 'a.note.free': 'note.free' });
    const app = await producer.start({ receipts: { chaseAfterMs: 300 } });
    const id = await app.get(NoteService).record(note(FreeNote));
    producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'retrying', retryAfterMs: 3_600_000 });
    await producer.until(id, { outcomes: { a: expect.objectContaining({ outcome: 'retrying' }) as never } });
    const other = await app.get(NoteService).record(note(FreeNote));
    // The other one is chased meanwhile.
    await eventually(() =>
      expect(producer.messageIds('a.note.free').filter((each) => each === other).length).toBeGreaterThan(1),
    );
    expect(producer.messageIds('a.note.free').filter((each) => each === id)).toHaveLength(1);
  });

  it('waits while the broker is away, and burns no attempt', async () => {
    producer.bind({ 'a.note.free': 'note.free' });
    const { hooks, told } = remembering('jobFinished');
    const app = await producer.start({
      hooks,
      receipts: { chaseAfterMs: 100 },
      compensation: { intervalMs: 50 },
      publish: { maxAttempts: 5 },
    });
    const id = await app.get(NoteService).record(note(FreeNote));
    await producer.until(id, { status: 'published' });
    producer.broker.goOffline();
    await producer.database.makeDue('outbox');
    const { attempts } = await producer.row(id);
    const compensations = (): number =>
      (told('jobFinished') as { job: string }[]).filter(({ job }) => job === 'compensate').length;
    const before = compensations();
    await eventually(() => expect(compensations()).toBeGreaterThan(before + 5));
    expect(await producer.row(id)).toMatchObject({ status: 'published', attempts });
    producer.broker.goOnline();
    await eventually(async () => expect((await producer.row(id)).attempts).toBeGreaterThan(attempts));
  });
});
