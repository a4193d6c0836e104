import { Injectable } from '@nestjs/common';
import {
  EventRecorder,
  type EventContext,
  MemoryBroker,
  RejectEvent,
  ReliableEvent,
  ReliableEventHandler,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { deferred } from '../support/deferred';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { Consuming, Effect, NoteHandler, NoteTaken, Script, SERVICE } from './consume-harness';

@ReliableEvent({ type: 'note.filed', confirm: false })
class NoteFiled {
  text!: string;
}

@Injectable()
class Filing {
  constructor(
    @InjectRepository(Effect) private readonly effects: Repository<Effect>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteFiled, (_: void, text: string) => ({ text }))
  async file(text: string, eventId: string): Promise<void> {
    await this.effects.insert({ eventId, note: `filed ${text}` });
  }
}

@Injectable()
class AuditHandler {
  readonly seen: string[] = [];

  @ReliableEventHandler(NoteTaken, { consumer: `${SERVICE}.audit` })
  audit(_: NoteTaken, { eventId }: EventContext): Promise<void> {
    this.seen.push(eventId);
    return Promise.resolve();
  }
}

describeEachDatabase('handling an event', (database) => {
  let consuming: Consuming;

  beforeAll(async () => {
    consuming = await Consuming.start({ database, providers: [Script, NoteHandler, Filing, AuditHandler] });
  });
  afterEach(() => {
    consuming.script.onEvent = () => undefined;
  });
  afterAll(() => consuming.dispose());

  async function filedEvents(text: string): Promise<unknown[]> {
    return (await consuming.app.outbox()).filter(
      ({ payload }) => (JSON.parse(payload) as { text?: string }).text === text,
    );
  }

  it('stores its effects and its inbox row in one transaction', async () => {
    const [entered, mayEnd] = [deferred(), deferred()];
    consuming.script.onEvent = async () => {
      entered.resolve();
      await mayEnd.promise;
    };
    const id = consuming.send('one');
    await entered.promise;
    await expect(consuming.notes(id)).resolves.toEqual([]);
    expect(await consuming.inbox(id)).not.toContainEqual(expect.objectContaining({ consumer: SERVICE }));
    mayEnd.resolve();

    await eventually(async () => expect(await consuming.inbox(id)).toHaveLength(2));
    await expect(consuming.notes(id)).resolves.toEqual(['one']);
    expect(consuming.waiting()).toBe(0);
  });

  it('tells the handler what it handles', async () => {
    const id = consuming.send('context', {
      fromProducer: true,
      headers: { tenant: 'north', 'reliable-mq-attempt': 3 },
      properties: { appId: 'office' },
    });
    await consuming.settled(id, 'handled');
    const [call] = consuming.callsOf(id);
    expect(call?.event).toBeInstanceOf(NoteTaken);
    expect(call?.context).toMatchObject({
      eventId: id,
      type: 'note.taken',
      version: 1,
      consumer: SERVICE,
      attempt: 1,
      producer: 'office',
      headers: { tenant: 'north' },
    });
    expect(call?.context.headers).toEqual({ tenant: 'north' });
  });

  it('reports handled to the producer after the commit', async () => {
    const id = consuming.send('receipt', { fromProducer: true });
    await eventually(() => expect(consuming.receipts(id)).toHaveLength(2));
    expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['handled', 'handled']);
    expect(
      consuming
        .receipts(id)
        .map(({ consumer }) => consumer)
        .sort(),
    ).toEqual([SERVICE, `${SERVICE}.audit`]);
  });

  it('sends no receipts for messages of foreign publishers', async () => {
    const foreign = consuming.send('foreign', { properties: { replyTo: 'producer.receipts' } });
    const own = consuming.send('own', { fromProducer: true });
    await eventually(() => expect(consuming.receipts(own)).not.toEqual([]));
    await consuming.settled(foreign, 'handled');
    expect(consuming.receipts(foreign)).toEqual([]);
  });

  it.each([`'; DROP TABLE reliable_mq_inbox; --`, `\\'; DROP TABLE reliable_mq_inbox; --`, '$1 ? %s " 多'])(
    'happens once for a foreign message with the id %j',
    async (messageId) => {
      consuming.send('hostile', { messageId });
      await consuming.settled(messageId, 'handled');
      consuming.send('hostile', { messageId });
      await eventually(() => expect(consuming.waiting()).toBe(0));
      expect(consuming.callsOf(messageId).length).toBe(1);
      await expect(consuming.notes(messageId)).resolves.toEqual(['hostile']);
    },
  );

  it('happens once however often the message comes, and each time the producer is told', async () => {
    const id = consuming.send('again', { fromProducer: true });
    await consuming.settled(id, 'handled');
    for (let copy = 0; copy < 3; copy += 1) consuming.send('again', { messageId: id, fromProducer: true });
    await eventually(() => expect(consuming.receipts(id)).toHaveLength(8));
    expect(consuming.callsOf(id).length).toBe(1);
    await expect(consuming.notes(id)).resolves.toEqual(['again']);
    expect(consuming.waiting()).toBe(0);
  });

  it('happens once when ten copies come at the same moment', async () => {
    const mayEnd = deferred();
    consuming.script.onEvent = () => mayEnd.promise;
    const id = consuming.send('ten');
    for (let copy = 1; copy < 10; copy += 1) consuming.send('ten', { messageId: id });
    await eventually(() => expect(consuming.callsOf(id).length).toBe(1));
    mayEnd.resolve();
    await consuming.settled(id, 'handled');
    await eventually(() => expect(consuming.waiting()).toBe(0));
    expect(consuming.callsOf(id).length).toBe(1);
    await expect(consuming.notes(id)).resolves.toEqual(['ten']);
  });

  it('records events that exist if and only if the handler committed', async () => {
    const filing = consuming.app.get(Filing);
    consuming.script.onEvent = async ({ text }, { eventId, attempt }) => {
      await filing.file(`${text}-${attempt}`, eventId);
      await filing.events.record(Object.assign(new NoteFiled(), { text: `${text}-${attempt}-plain` }));
      if (attempt === 1) throw new Error('not yet');
    };
    const id = consuming.send('join');
    await consuming.settled(id, 'handled');
    await expect(consuming.notes(id)).resolves.toEqual(['filed join-2', 'join']);
    for (const text of ['join-1', 'join-1-plain']) await expect(filedEvents(text)).resolves.toEqual([]);
    for (const text of ['join-2', 'join-2-plain']) await expect(filedEvents(text)).resolves.toHaveLength(1);
  });

  it('lets two consumers of one service each handle it once', async () => {
    const id = consuming.send('both');
    await eventually(async () => {
      const rows = await consuming.inbox(id);
      expect(rows.map(({ consumer, status }) => [consumer, status])).toEqual([
        [SERVICE, 'handled'],
        [`${SERVICE}.audit`, 'handled'],
      ]);
    });
    expect(consuming.app.get(AuditHandler).seen.filter((seen) => seen === id)).toEqual([id]);
  });

  it("does not let one consumer's failure touch the other", async () => {
    consuming.script.onEvent = () => Promise.reject(new RejectEvent('not here'));
    const id = consuming.send('split', { fromProducer: true });
    await eventually(() => expect(consuming.receipts(id)).toHaveLength(2));
    const outcomes = consuming.receipts(id).map(({ consumer, outcome }) => [consumer, outcome]);
    expect(outcomes.sort()).toEqual([
      [SERVICE, 'rejected'],
      [`${SERVICE}.audit`, 'handled'],
    ]);
  });
});

describeEachDatabase('handling an event in two instances of a service', (database) => {
  it('happens once when both have a copy at the same time', async () => {
    const broker = new MemoryBroker();
    const first = await Consuming.start({ database, broker, reliableMq: { consume: { prefetch: 1 } } });
    const second = await Consuming.start({
      broker,
      database: first.app.database,
      reliableMq: { consume: { prefetch: 1 } },
    });
    try {
      const mayEnd = deferred();
      for (const { script } of [first, second]) script.onEvent = () => mayEnd.promise;
      const id = first.send('copy');
      first.send('copy', { messageId: id });
      await eventually(async () => expect(await first.app.database.waitingForLocks()).toBe(1));
      mayEnd.resolve();
      await first.settled(id, 'handled');
      await eventually(() => expect(broker.messages(`${SERVICE}.note.taken`)).toEqual([]));
      expect(first.callsOf(id).length + second.callsOf(id).length).toBe(1);
      await expect(first.notes(id)).resolves.toEqual(['copy']);
    } finally {
      await second.dispose();
      await first.dispose();
    }
  });
});

describeEachDatabase('a message that the broker delivers again', (database) => {
  it('is handled once although its first handling still runs', async () => {
    const consuming = await Consuming.start({ database });
    try {
      const mayEnd = deferred();
      consuming.script.onEvent = () => mayEnd.promise;
      const id = consuming.send('blip', { fromProducer: true });
      await eventually(() => expect(consuming.callsOf(id).length).toBe(1));
      // All unsettled messages go back to the queue and come again, as after a lost connection.
      consuming.broker.goOffline();
      consuming.broker.goOnline();
      mayEnd.resolve();
      await consuming.settled(id, 'handled');
      await eventually(() => expect(consuming.receipts(id).length).toBeGreaterThanOrEqual(1));
      await eventually(() => expect(consuming.waiting()).toBe(0));
      expect(consuming.callsOf(id).length).toBe(1);
      await expect(consuming.notes(id)).resolves.toEqual(['blip']);
    } finally {
      await consuming.dispose();
    }
  });
});
