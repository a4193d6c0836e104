import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Compensate, type EventFailure, EventRecorder } from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { CompensatingOrderService } from '../faults/support/order-service';
import { Landscape } from '../faults/support/landscape';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import type { TestApp } from '../support/test-app';
import { FreeNote, HastyNote, Note, note, NoteService, Producer, remembering, UnconfirmedNote } from './outbox-harness';

/** What the compensation does: the test decides, and sees each call. */
@Injectable()
class Script {
  readonly calls: { readonly event: unknown; readonly failure: EventFailure }[] = [];
  onCompensate: (call: number) => unknown = () => undefined;
}

@Injectable()
class CompensatingService {
  constructor(
    readonly script: Script,
    @InjectRepository(Note) private readonly notes: Repository<Note>,
    private readonly events: EventRecorder,
  ) {}

  @Compensate(FreeNote)
  async undo(event: FreeNote, failure: EventFailure): Promise<void> {
    this.script.calls.push({ event, failure });
    await this.notes.insert({ text: `undone: ${event.text}` });
    await this.script.onCompensate(this.script.calls.length);
  }

  @Compensate(UnconfirmedNote)
  async undoAndTell(event: UnconfirmedNote): Promise<void> {
    await this.events.record(note(FreeNote, `told: ${event.text}`));
  }
}

const PROVIDERS = [NoteService, CompensatingService, Script];
const BACKOFF = { initialMs: 20, maxMs: 50, jitter: 0 };

describeEachDatabase('A compensation handler', (database) => {
  let producer: Producer;

  beforeEach(async () => {
    producer = await Producer.create(database);
    producer.bind({ 'a.note.free': 'note.free' });
  });
  afterEach(() => producer.dispose());

  /** An event that its consumer rejects. */
  async function rejected(app: TestApp, text = 'a note'): Promise<string> {
    const id = await app.get(NoteService).record(note(FreeNote, text));
    await producer.until(id, { status: 'published' });
    producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'rejected', reason: 'sold out' });
    return id;
  }

  const undone = (app: TestApp): Promise<{ text: string }[]> =>
    app.query(`SELECT text FROM note WHERE text LIKE 'undone%'`);

  it('runs once, in a transaction that its repositories take part in, and learns who said what', async () => {
    const { hooks, told } = remembering('compensating', 'compensationReturned', 'compensated');
    const app = await producer.start({ hooks }, PROVIDERS);
    const id = await rejected(app);
    await producer.until(id, {
      status: 'dead',
      due_at: null,
      compensated_at: expect.any(Date) as Date,
      compensation_attempts: 1,
    });
    expect(app.get(Script).calls).toEqual([
      {
        event: note(FreeNote),
        failure: {
          eventId: id,
          type: 'note.free',
          reason: 'a rejected: sold out',
          outcomes: [{ consumer: 'a', outcome: 'rejected', reason: 'sold out', at: expect.any(String) as string }],
        },
      },
    ]);
    expect(app.get(Script).calls[0]?.event).toBeInstanceOf(FreeNote);
    expect(await undone(app)).toHaveLength(1);
    await eventually(() => expect(told('compensated')).toEqual([{ eventId: id, type: 'note.free' }]));
    expect(told('compensating')).toEqual([{ eventId: id, type: 'note.free', attempt: 1 }]);
    expect(told('compensationReturned')).toHaveLength(1);
  });

  it('is tried again until it commits: what it did before it failed is rolled back', async () => {
    const { hooks, told } = remembering('compensationFailed');
    const app = await producer.start({ hooks, compensation: { intervalMs: 60_000, backoff: BACKOFF } }, PROVIDERS);
    app.get(Script).onCompensate = (call) => {
      if (call < 4) throw new Error(`failure ${call}`);
    };
    const id = await rejected(app);
    const row = await producer.until(id, { compensated_at: expect.any(Date) as Date, compensation_attempts: 4 });
    expect(await undone(app)).toHaveLength(1);
    expect(row.history.map(({ reason }) => reason)).toEqual(
      [1, 2, 3].map((call) => `compensation failed: Error: failure ${call}`),
    );
    expect(told('compensationFailed')).toMatchObject([
      { eventId: id, attempt: 1, reason: 'Error: failure 1', retryInMs: 20 },
      { attempt: 2, retryInMs: 40 },
      { attempt: 3, retryInMs: 50 },
    ]);
  });

  it('events that it records are published', async () => {
    const app = await producer.start({}, PROVIDERS);
    producer.bind({ 'a.note.unconfirmed': 'note.unconfirmed' });
    const id = await app.get(NoteService).record(note(UnconfirmedNote, 'x'));
    await producer.until(id, { status: 'published' });
    await producer.database.update('outbox', { id }, { status: 'dead', due_at: { inMs: 0 } });
    await eventually(async () => {
      const told = (await producer.rows()).filter(({ payload }) => payload.includes('told: x'));
      expect(told).toMatchObject([{ status: 'published' }]);
      expect(producer.messageIds('a.note.free')).toContain(told[0]?.id);
    });
  });

  it('an event type without one stays dead, and is not looked at again', async () => {
    const { hooks, told } = remembering('compensating', 'dead');
    const app = await producer.start({ hooks }, PROVIDERS);
    const id = await app.get(NoteService).record(note(HastyNote));
    await producer.until(id, { status: 'dead', due_at: null, compensated_at: null, compensation_attempts: 1 });
    await eventually(() => expect(told('dead')).toHaveLength(1));
    expect(told('compensating')).toEqual([]);
  });

  it('of two instances one runs it, while the other looks again and again', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { hooks, told } = remembering('jobFinished');
    const first = await producer.start({}, PROVIDERS);
    const second = await producer.start({ hooks, compensation: { intervalMs: 50 } }, PROVIDERS);
    for (const app of [first, second]) app.get(Script).onCompensate = () => held;
    const id = await rejected(first);
    const calls = (): number => first.get(Script).calls.length + second.get(Script).calls.length;
    await eventually(() => expect(calls()).toBe(1));
    const runs = told('jobFinished').length;
    await eventually(() => expect(told('jobFinished').length).toBeGreaterThan(runs + 20));
    expect(calls()).toBe(1);
    release();
    await producer.until(id, { compensated_at: expect.any(Date) as Date });
    expect(await undone(first)).toHaveLength(1);
  });

  it('that runs long holds up no receipts; those of its own event are written afterwards', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { hooks, told } = remembering('lateOutcome');
    const app = await producer.start({ hooks }, PROVIDERS);
    app.get(Script).onCompensate = () => held;
    const id = await rejected(app);
    await eventually(() => expect(app.get(Script).calls).toHaveLength(1));
    const other = await app.get(NoteService).record(note(FreeNote));
    producer.sendReceipts(
      { eventId: id, consumer: 'b', outcome: 'handled' },
      { eventId: other, consumer: 'a', outcome: 'handled' },
    );
    await producer.until(other, { status: 'consumed' });
    expect((await producer.row(id)).outcomes['b']).toBeUndefined();
    release();
    const row = await producer.until(id, {
      outcomes: expect.objectContaining({ b: expect.objectContaining({ outcome: 'handled' }) as never }) as never,
    });
    expect(row).toMatchObject({ status: 'dead', compensated_at: expect.any(Date) as Date });
    await eventually(() => expect(told('lateOutcome')).toEqual([{ eventId: id, consumer: 'b', outcome: 'handled' }]));
  });

  it('that hangs in a statement is cut off, at the server too, and tried again', async () => {
    const app = await producer.start(
      { compensation: { intervalMs: 100, timeoutMs: 300, backoff: BACKOFF } },
      PROVIDERS,
    );
    const { database } = producer;
    await database.locking('note', undefined, async () => {
      const id = await app.get(NoteService).record(note(FreeNote));
      await producer.until(id, { status: 'published' });
      producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'dead' });
      await eventually(async () => expect((await producer.row(id)).history.length).toBeGreaterThanOrEqual(2));
      expect(await database.waitingForLocks()).toBeLessThanOrEqual(1);
      expect((await producer.row(id)).history[0]?.reason).toMatch(
        /CompensatingService#undo did not finish within 300 ms/,
      );
    });
    await eventually(async () => expect(await undone(app)).toHaveLength(1));
  });

  it('is cut off when the process must stop, and given back for another instance', async () => {
    const app = await producer.start({ shutdown: { drainMs: 100 } }, PROVIDERS);
    app.get(Script).onCompensate = () => new Promise(() => undefined);
    const id = await rejected(app);
    await eventually(() => expect(app.get(Script).calls).toHaveLength(1));
    await producer.stop(app);
    const next = await producer.start({}, PROVIDERS);
    await producer.until(id, { compensated_at: expect.any(Date) as Date });
    expect(await undone(next)).toHaveLength(1);
  });
});

describeEachDatabase('A compensation whose process is killed inside it', (database) => {
  it.each(['compensating', 'compensationReturned'] as const)('(%s) runs again, and commits once', async (at) => {
    const landscape = await Landscape.on(database);
    try {
      // Nobody is bound, and there is one attempt: the event is dead at once.
      const killed = await landscape.shopProcess({ at }, 1, { publish: { maxAttempts: 1 } });
      expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' });
      expect(await landscape.row()).toMatchObject({ status: 'dead' });
      expect(await landscape.effects()).toEqual([]);

      const shop = await landscape.shop({}, [CompensatingOrderService]);
      // Its lease is longer than a test should take.
      await landscape.database.makeDue('outbox');
      await eventually(async () => expect(await landscape.effects()).toMatchObject([{ kind: 'cancelled' }]));
      expect(await landscape.row()).toMatchObject({ status: 'dead', due_at: null, compensation_attempts: 2 });
      expect(shop.get(CompensatingOrderService).failures).toHaveLength(1);
    } finally {
      await landscape.dispose();
    }
  });
});
