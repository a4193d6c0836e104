import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type BatchContext, RejectEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { Consuming, Effect, NoteTaken } from './consume-harness';

const SIZE = 5;

/** Writes the effects of all events of a run, then does what the test says. */
@Injectable()
class BatchHandler {
  readonly runs: { readonly texts: readonly string[]; readonly context: BatchContext; readonly transaction: string }[] =
    [];
  onRun: (texts: readonly string[], context: BatchContext) => unknown = () => undefined;

  constructor(@InjectRepository(Effect) private readonly effects: Repository<Effect>) {}

  @ReliableEventHandler(NoteTaken, { prefetch: 2 * SIZE, batch: { size: SIZE, waitMs: 200 } })
  async take(events: NoteTaken[], context: BatchContext): Promise<void> {
    const texts = events.map(({ text }) => text);
    const [row] = await context.manager.query<[{ id: string }]>('SELECT pg_current_xact_id()::text AS id');
    this.runs.push({ texts, context, transaction: row.id });
    await this.effects.insert(
      context.messages.map(({ eventId }, index) => ({ eventId, note: texts[index] as string })),
    );
    await this.onRun(texts, context);
  }
}

describe('a batch handler', () => {
  let consuming: Consuming;
  let handler: BatchHandler;

  beforeEach(async () => {
    consuming = await Consuming.start({
      providers: [BatchHandler],
      reliableMq: { consume: { maxAttempts: 3, timeoutMs: 1_000 } },
    });
    handler = consuming.app.get(BatchHandler);
  });
  afterEach(() => consuming.dispose());

  const sendAll = (...texts: string[]): string[] => texts.map((text) => consuming.send(text, { fromProducer: true }));
  const effectsOf = async (ids: readonly string[]): Promise<number[]> =>
    Promise.all(ids.map(async (id) => (await consuming.notes(id)).length));

  it('gets as many events as it asks for, in one transaction with their inbox rows, and each is reported', async () => {
    const ids = sendAll('a', 'b', 'c', 'd', 'e');
    for (const id of ids) await consuming.settled(id, 'handled');
    expect(handler.runs.map(({ texts }) => texts)).toEqual([['a', 'b', 'c', 'd', 'e']]);
    const [run] = handler.runs;
    expect(run?.context).toMatchObject({
      type: 'note.taken',
      version: 1,
      consumer: 'desk',
      messages: ids.map((eventId) => ({ eventId, attempt: 1, headers: {} })),
    });
    await expect(effectsOf(ids)).resolves.toEqual([1, 1, 1, 1, 1]);
    for (const id of ids)
      await eventually(() => expect(consuming.receipts(id)).toMatchObject([{ outcome: 'handled' }]));
    expect(consuming.waiting()).toBe(0);
  });

  it('gets what is there when the time to wait is over', async () => {
    const ids = sendAll('a', 'b');
    for (const id of ids) await consuming.settled(id, 'handled');
    expect(handler.runs.map(({ texts }) => texts)).toEqual([['a', 'b']]);
  });

  it('that fails has its events handled one by one: the bad one harms nobody', async () => {
    handler.onRun = (texts) => {
      if (texts.includes('bad')) throw new Error('no');
    };
    const ids = sendAll('a', 'b', 'bad', 'd', 'e');
    const bad = ids[2] as string;
    for (const id of ids) await consuming.settled(id, id === bad ? 'dead' : 'handled');
    await expect(effectsOf(ids)).resolves.toEqual([1, 1, 0, 1, 1]);
    for (const id of ids) expect((await consuming.inbox(id))[0]).toMatchObject({ attempts: id === bad ? 3 : 1 });
    expect(handler.runs[0]?.texts).toHaveLength(5);
    for (const { texts } of handler.runs.slice(1)) expect(texts).toHaveLength(1);
    const transactions = handler.runs.map(({ transaction }) => transaction);
    expect(new Set(transactions).size).toBe(transactions.length);
  });

  it('may reject one event as a batch of one', async () => {
    handler.onRun = (texts) => {
      if (texts.includes('bad')) throw new RejectEvent('not this one');
    };
    const ids = sendAll('a', 'bad', 'c');
    await consuming.settled(ids[1] as string, 'rejected');
    for (const id of [ids[0], ids[2]]) await consuming.settled(id as string, 'handled');
  });

  it.each([
    [
      'swallows an error of the database',
      (context: BatchContext) => context.manager.query('SELECT 1/0').catch(() => 0),
    ],
    ['rolls the transaction back by SQL', (context: BatchContext) => context.manager.query('ROLLBACK')],
    ['never ends', () => new Promise(() => undefined)],
  ])('that %s the first time leaves nothing behind, and all its events are handled', async (_, meddle) => {
    let first = true;
    handler.onRun = async (__, context) => {
      if (!first) return;
      first = false;
      await meddle(context);
    };
    const ids = sendAll('a', 'b', 'c');
    for (const id of ids) await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ attempts: 1 });
    await expect(effectsOf(ids)).resolves.toEqual([1, 1, 1]);
  });

  it('never gets an event twice in one run, nor one that is handled already', async () => {
    const [first] = sendAll('a');
    await consuming.settled(first as string, 'handled');
    consuming.send('a', { messageId: first });
    const twice = sendAll('b');
    consuming.send('b', { messageId: twice[0] });
    const others = sendAll('c', 'd');
    for (const id of [...twice, ...others]) await consuming.settled(id, 'handled');
    await eventually(() => expect(consuming.waiting()).toBe(0));
    await expect(effectsOf([first as string, ...twice, ...others])).resolves.toEqual([1, 1, 1, 1]);
  });

  it('handles what the broker delivers again by itself', async () => {
    const mayEnd = deferred();
    handler.onRun = (texts) => (texts.length > 1 ? mayEnd.promise : undefined);
    const ids = sendAll('a', 'b');
    await eventually(() => expect(handler.runs).toHaveLength(1));
    consuming.broker.goOffline();
    consuming.broker.goOnline();
    mayEnd.resolve();
    for (const id of ids) await consuming.settled(id, 'handled');
    await eventually(() => expect(consuming.waiting()).toBe(0));
    await expect(effectsOf(ids)).resolves.toEqual([1, 1]);
  });
});
