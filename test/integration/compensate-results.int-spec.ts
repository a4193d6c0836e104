import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Compensate } from 'nestjs-reliable-mq';
import { concat, defer, EMPTY, from, ignoreElements, mergeMap, Observable, of, throwError } from 'rxjs';
import { Repository } from 'typeorm';
import { eventually } from '../support/eventually';
import type { TestApp } from '../support/test-app';
import { FreeNote, Note, note, NoteService, Producer, remembering } from './outbox-harness';

const TIMEOUT_MS = 1_000;

/** Undoes in the way that the event's text names, and returns what that comes to. */
@Injectable()
class Undoing {
  /** Streams that are subscribed to and never end. */
  endless = 0;
  subscriptions = 0;
  private readonly never = new Observable<never>(() => {
    this.endless += 1;
    this.subscriptions += 1;
    return () => (this.endless -= 1);
  });

  constructor(@InjectRepository(Note) private readonly notes: Repository<Note>) {}

  @Compensate(FreeNote)
  undo({ text }: FreeNote): unknown {
    const insert = (undone: string): Observable<unknown> => defer(() => from(this.notes.insert({ text: undone })));
    const undo = insert(`undone: ${text}`);
    switch (text) {
      case 'observable':
        return concat(of('first'), undo);
      case 'promised observable':
        return Promise.resolve(undo);
      case 'observable without a value':
        return concat(undo.pipe(ignoreElements()), EMPTY);
      case 'endless observable':
        return concat(undo, this.never);
      case 'promised endless observable':
        return Promise.resolve(concat(undo, this.never));
      case 'failing observable':
        return undo.pipe(mergeMap(() => throwError(() => new Error('failed behind its insert'))));
      default:
        return this.walk(text);
    }
  }

  private async *walk(text: string): AsyncGenerator {
    yield this.notes.insert({ text: `undone: ${text}` });
  }
}

describe('A compensation', () => {
  let producer: Producer;
  let app: TestApp;
  const heard = remembering('compensated', 'compensationFailed');

  beforeAll(async () => {
    producer = await Producer.create();
    producer.bind({ 'a.note.free': 'note.free' });
    app = await producer.start(
      {
        hooks: heard.hooks,
        compensation: { intervalMs: 100, timeoutMs: TIMEOUT_MS, backoff: { initialMs: 50, maxMs: 200 } },
      },
      [NoteService, Undoing],
    );
  });
  afterAll(() => producer.dispose());

  async function rejected(text: string): Promise<string> {
    const id = await app.get(NoteService).record(note(FreeNote, text));
    await producer.until(id, { status: 'published' });
    producer.sendReceipts({ eventId: id, consumer: 'a', outcome: 'rejected', reason: 'sold out' });
    return id;
  }

  const undone = (text: string): Promise<unknown[]> =>
    app.query(`SELECT 1 FROM note WHERE text = $1`, [`undone: ${text}`]);

  it.each(['observable', 'promised observable', 'observable without a value'])(
    'is done when its %s has ended, in its transaction',
    async (text) => {
      const id = await rejected(text);
      await producer.until(id, { status: 'dead', compensated_at: expect.any(Date) as Date, compensation_attempts: 1 });
      await expect(undone(text)).resolves.toHaveLength(1);
    },
  );

  it.each(['endless observable', 'promised endless observable'])(
    'is cut off when its %s does not end in time, and nobody listens to that any more',
    async (text) => {
      const { subscriptions } = app.get(Undoing);
      const id = await rejected(text);
      const [failed] = await eventually(() => {
        const found = heard.told('compensationFailed').filter((each) => (each as { eventId: string }).eventId === id);
        expect(found.length).toBeGreaterThan(1);
        return found;
      });
      expect(failed).toMatchObject({ reason: expect.stringContaining(`within ${TIMEOUT_MS} ms`) as string });
      expect(app.get(Undoing).subscriptions).toBeGreaterThan(subscriptions);
      await eventually(() => expect(app.get(Undoing).endless).toBe(0), { deadlineMs: 20_000 });
      await expect(undone(text)).resolves.toEqual([]);
    },
  );

  it.each([
    ['failing observable', 'failed behind its insert'],
    [
      'iterator',
      'Undoing#undo returned an async iterator, whose end cannot be awaited: what it was to do is not done.',
    ],
  ])('is not done with a %s, and is tried again', async (text, reason) => {
    const id = await rejected(text);
    const failures = await eventually(() => {
      const found = heard.told('compensationFailed').filter((failed) => (failed as { eventId: string }).eventId === id);
      expect(found.length).toBeGreaterThan(1);
      return found;
    });
    expect(failures[0]).toMatchObject({ reason: expect.stringContaining(reason) as string });
    await expect(producer.row(id)).resolves.toMatchObject({ status: 'dead', compensated_at: null });
    await expect(undone(text)).resolves.toEqual([]);
  });
});
