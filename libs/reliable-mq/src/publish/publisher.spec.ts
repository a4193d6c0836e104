import type { Publication } from './publication';
import { publication, publications, scripted, settleDown, type Scripted } from './scripted-publishing.fixture';

const ids = (items: readonly { readonly id: string }[]): string[] => items.map(({ id }) => id);
const deferred = ({ calls }: Scripted): unknown[] =>
  calls.filter(({ hook }) => hook === 'deferred').map(({ argument }) => argument);

/** Neither window nor buffer is what holds anything back. */
const ROOMY = { windowSize: 1000, bufferSize: 1000, bufferBytes: 1_000_000 };

describe('Publisher', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  describe('what was just committed', () => {
    it('is published in the order of the commits, and settled when the broker has confirmed', async () => {
      const { publisher, transport, outbox } = scripted();
      const events = publications(3);
      publisher.offer(events.slice(0, 2));
      publisher.offer(events.slice(2));
      expect(transport.messageIds).toEqual(ids(events));
      transport.answer(3);
      await publisher.idle();
      expect(outbox.settled).toMatchObject(
        events.map(({ id, token }) => ({ id, token, result: 'published', reason: null })),
      );
    });

    it('carries what the consumer needs on the wire', () => {
      const { publisher, transport } = scripted();
      publisher.offer([
        publication({ id: 'an-id', payload: '{"é":1}', version: 2, headers: { trace: 'x' }, attempt: 4, redrives: 1 }),
      ]);
      expect(transport.unanswered[0]?.message).toEqual({
        target: { routingKey: 'order.created' },
        messageId: 'an-id',
        type: 'order.created',
        body: Buffer.from('{"é":1}'),
        headers: {
          trace: 'x',
          'reliable-mq-version': 2,
          'reliable-mq-source': 'default',
          'reliable-mq-attempt': 4,
          'reliable-mq-redrives': 1,
        },
        appId: 'shop',
        replyTo: 'shop.receipts',
      });
    });

    it('asks for no receipts when the event expects none', () => {
      const { publisher, transport } = scripted();
      publisher.offer([publication({ confirm: false })]);
      expect(transport.unanswered[0]?.message).not.toHaveProperty('replyTo');
    });

    it('waits in memory while the window is full', async () => {
      const { publisher, transport } = scripted({ windowSize: 2 });
      const events = publications(5);
      publisher.offer(events);
      expect(transport.messageIds).toEqual(ids(events.slice(0, 2)));
      transport.answer(1);
      await settleDown();
      expect(transport.messageIds).toEqual(ids(events.slice(1, 3)));
    });

    it('waits in memory while what is unconfirmed has as many bytes as the buffer may have', async () => {
      const { publisher, transport } = scripted({ ...ROOMY, bufferBytes: 50 });
      const events = [20, 28, 30, 20].map((bytes) => publication({ payload: JSON.stringify('x'.repeat(bytes - 2)) }));
      publisher.offer(events.slice(0, 3));
      publisher.offer(events.slice(3));
      expect(transport.messageIds).toEqual(ids(events.slice(0, 3)));
      transport.answer(1);
      await settleDown();
      expect(transport.messageIds).toEqual(ids(events.slice(1, 3)));
      transport.answer(1);
      await settleDown();
      expect(transport.messageIds).toEqual(ids(events.slice(2)));
    });

    it('goes on while outcomes are written, for one window more', async () => {
      const { publisher, transport, outbox } = scripted({ windowSize: 2 });
      const release = outbox.hold();
      publisher.offer(publications(6));
      transport.answer(2);
      await settleDown();
      expect(transport.unanswered).toHaveLength(2);
      transport.answer(2);
      await settleDown();
      expect(transport.unanswered).toHaveLength(0);
      release();
      await settleDown();
      expect(transport.unanswered).toHaveLength(2);
    });

    it('leaves at once in a quiet service, and in bursts while eight are unconfirmed', async () => {
      const { publisher, transport } = scripted(ROOMY);
      const events = publications(12);
      for (const event of events) publisher.offer([event]);
      expect(transport.messageIds).toEqual(ids(events.slice(0, 8)));
      transport.answer(1);
      await settleDown();
      expect(transport.messageIds).toEqual(ids(events.slice(1)));
    });

    it('leaves a busy service in bursts that keep a distance, however fast the broker confirms', async () => {
      const { publisher, transport } = scripted(ROOMY);
      /** How many messages have left, all of them confirmed. */
      let left = 0;
      const confirm = (): number => {
        left += transport.unanswered.length;
        transport.answer(transport.unanswered.length);
        return left;
      };
      for (let count = 1; count < 16; count += 1) {
        publisher.offer(publications(1));
        expect(confirm()).toBe(count);
      }
      publisher.offer(publications(1));
      publisher.offer(publications(3));
      expect(confirm()).toBe(15);
      await jest.advanceTimersByTimeAsync(10);
      expect(confirm()).toBe(19);
      await jest.advanceTimersByTimeAsync(10);
      publisher.offer(publications(1));
      expect(confirm()).toBe(20);
    });

    it('waits for no burst that the broker does not confirm for longer than a moment', async () => {
      const { publisher, transport } = scripted(ROOMY);
      const events = publications(9);
      for (const event of events) publisher.offer([event]);
      expect(transport.unanswered).toHaveLength(8);
      await jest.advanceTimersByTimeAsync(20);
      expect(transport.messageIds).toEqual(ids(events));
    });

    it('waits for no burst when there are enough for one of their own', () => {
      const { publisher, transport } = scripted(ROOMY);
      for (const event of publications(107)) publisher.offer([event]);
      expect(transport.unanswered).toHaveLength(8);
      publisher.offer(publications(1));
      expect(transport.unanswered).toHaveLength(108);
    });

    it('is left to the compensation task, without a statement, when window and buffer are full', async () => {
      const script = scripted({ windowSize: 1, bufferSize: 2 });
      const events = publications(5);
      script.publisher.offer(events);
      await settleDown();
      expect(deferred(script)).toMatchObject(
        ids(events.slice(3)).map((eventId) => ({ eventId, reason: 'the publish buffer is full' })),
      );
      expect(script.outbox.settled).toEqual([]);
    });

    it('is left to the compensation task when the buffer is full by bytes of UTF-8', () => {
      const script = scripted({ windowSize: 1, bufferBytes: 30 });
      // 12 bytes each, 7 characters: one is on its way, two fit into the buffer.
      const events = publications(4, { payload: '"ééééé"' });
      script.publisher.offer(events);
      expect(deferred(script)).toMatchObject([{ eventId: events[3]?.id, reason: 'the publish buffer is full' }]);
    });

    it('is given back at once, its attempt not counted, when the broker is away: memory stays empty', async () => {
      const script = scripted();
      script.transport.available = { available: false, reason: 'not connected to amqp://broker' };
      const events = publications(3);
      script.publisher.offer(events);
      await script.publisher.idle();
      expect(script.transport.unanswered).toEqual([]);
      expect(deferred(script)).toMatchObject(
        ids(events).map((eventId) => ({ eventId, reason: 'not connected to amqp://broker' })),
      );
      expect(script.outbox.settled).toMatchObject(
        ids(events).map((id) => ({ id, result: 'postponed', delayMs: 0, reason: 'not connected to amqp://broker' })),
      );
    });

    it('keeps its lease when the broker is away and the database does not keep up', async () => {
      const script = scripted({ windowSize: 2 });
      script.transport.available = { available: false };
      const release = script.outbox.hold();
      const events = publications(5);
      for (const event of events) script.publisher.offer([event]);
      expect(deferred(script)).toHaveLength(5);
      release();
      await script.publisher.idle();
      expect(ids(script.outbox.settled)).toEqual(ids(events.slice(0, 2)));
    });
  });

  describe('what a job has claimed', () => {
    it('waits for room instead of being deferred', async () => {
      const script = scripted({ windowSize: 1, bufferSize: 1 });
      const events = publications(4);
      const submitted = script.publisher.submit(events);
      for (const { id } of events) {
        await settleDown();
        expect(script.transport.messageIds).toEqual([id]);
        script.transport.answer(1);
      }
      await submitted;
      await script.publisher.idle();
      expect(ids(script.outbox.settled)).toEqual(ids(events));
      expect(deferred(script)).toEqual([]);
    });

    it('passes even if it is larger than the buffer', async () => {
      const { publisher, transport } = scripted({ bufferBytes: 10 });
      const [small, large] = [publication(), publication({ payload: JSON.stringify('x'.repeat(100)) })];
      const submitted = publisher.submit([small, large]);
      transport.answer(1);
      await submitted;
      await settleDown();
      expect(transport.messageIds).toEqual([large.id]);
    });

    it('goes on only when outcomes are written: also those of events that are not published again', async () => {
      const script = scripted({ windowSize: 2 });
      const release = script.outbox.hold();
      for (const event of publications(4)) script.publisher.postpone(event, 'its consumer is behind', 60_000);
      let done = false;
      const submitted = script.publisher.submit([]).then(() => (done = true));
      await settleDown();
      expect(done).toBe(false);
      release();
      await submitted;
      expect(script.outbox.settled).toHaveLength(4);
    });

    it('is not announced to the job that publishes when it only waits for receipts', async () => {
      const script = scripted();
      script.publisher.postpone(publication(), 'its consumer is behind', 60_000);
      await script.publisher.idle();
      expect(script.outbox.settled).toMatchObject([{ result: 'postponed', delayMs: 60_000 }]);
      expect(script.dueIn).toEqual([]);
    });

    it('is given up without being published', async () => {
      const script = scripted();
      const event = publication();
      script.publisher.giveUpOn(event, 'no receipt from anyone');
      await script.publisher.idle();
      expect(script.outbox.settled).toMatchObject([
        { id: event.id, token: event.token, result: 'dead', reason: 'no receipt from anyone' },
      ]);
      expect(script.transport.unanswered).toEqual([]);
    });
  });

  it('does not publish what has waited in memory until its lease is nearly over', async () => {
    const script = scripted({ windowSize: 1, leaseMs: 30_000, confirmTimeoutMs: 10_000 });
    const [first, late] = publications(2) as [Publication, Publication];
    script.publisher.offer([first, late]);
    jest.advanceTimersByTime(20_001);
    script.transport.answer(1);
    await script.publisher.idle();
    expect(script.transport.unanswered).toEqual([]);
    expect(script.outbox.settled).toMatchObject([
      { id: first.id, result: 'published' },
      { id: late.id, result: 'postponed', delayMs: 0, reason: 'it waited in memory until its lease was nearly over' },
    ]);
    expect(script.dueIn).toEqual([0]);
  });

  it('gives back what waits when the broker goes away', async () => {
    const script = scripted({ windowSize: 1 });
    const [sent, waiting] = publications(2) as [Publication, Publication];
    script.publisher.offer([sent, waiting]);
    script.transport.available = { available: false, reason: 'connection lost' };
    script.transport.answer(1, { status: 'unavailable', reason: 'connection lost' });
    await script.publisher.idle();
    expect(script.outbox.settled).toMatchObject([
      { id: sent.id, result: 'postponed', reason: 'connection lost' },
      { id: waiting.id, result: 'postponed', reason: 'connection lost' },
    ]);
  });

  describe('outcomes', () => {
    it.each(['unroutable', 'refused'] as const)(
      '%s: tried again with backoff, and its job is told when',
      async (status) => {
        const script = scripted();
        script.publisher.offer([publication({ attempt: 2 })]);
        script.transport.answer(1, { status, reason: 'because' });
        await script.publisher.idle();
        expect(script.outbox.settled).toMatchObject([{ result: 'retry', delayMs: 2000, reason: 'because' }]);
        expect(script.dueIn).toEqual([2000]);
      },
    );

    it('unavailable: postponed however often it happens', async () => {
      const script = scripted();
      script.publisher.offer([publication({ attempt: 100 })]);
      script.transport.answer(1, { status: 'unavailable', reason: 'no confirm' });
      await script.publisher.idle();
      expect(script.outbox.settled).toMatchObject([{ result: 'postponed', reason: 'no confirm' }]);
    });

    it('is dead after its last attempt, which is told when it is written and not before', async () => {
      const script = scripted({ maxAttempts: 3 });
      const release = script.outbox.hold();
      const event = publication({ attempt: 3 });
      script.publisher.offer([event]);
      script.transport.answer(1, { status: 'unroutable', reason: 'no queue is bound' });
      await settleDown();
      expect(script.dead()).toBe(0);
      release();
      await script.publisher.idle();
      const reason = 'given up after 3 attempts to publish: no queue is bound';
      expect(script.outbox.settled).toMatchObject([{ result: 'dead', reason }]);
      expect(script.calls).toContainEqual({
        hook: 'dead',
        argument: { eventId: event.id, type: 'order.created', reason },
      });
      expect(script.dead()).toBe(1);
    });

    it.each(['claim-lost', 'ended'] as const)('says nothing of a death that was not written (%s)', async (because) => {
      const script = scripted();
      const event = publication();
      script.outbox.unsettled = [{ id: event.id, token: event.token, because }];
      script.publisher.giveUpOn(event, 'no receipt');
      await script.publisher.idle();
      expect(script.calls.map(({ hook }) => hook)).not.toContain('dead');
      expect(script.dead()).toBe(0);
    });

    it('chases later with each attempt', async () => {
      const script = scripted({ backoff: { initialMs: 1, maxMs: 200_000, jitter: 0 } });
      script.publisher.offer([publication({ attempt: 1 }), publication({ attempt: 2 }), publication({ attempt: 9 })]);
      script.transport.answer(3);
      await script.publisher.idle();
      expect(script.outbox.settled.map(({ delayMs }) => delayMs)).toEqual([60_000, 120_000, 200_000]);
    });

    it('of several targets the worst outcome decides, once all have answered', async () => {
      const script = scripted();
      const event = publication({ targets: [{ queue: 'a' }, { queue: 'b' }, { queue: 'c' }] });
      script.publisher.offer([event]);
      expect(script.transport.unanswered.map(({ message }) => message.target)).toEqual(event.targets);
      script.transport.answer(1, { status: 'unavailable', reason: 'lost' });
      script.transport.answer(1, { status: 'unroutable', reason: 'queue "b" does not exist' });
      await settleDown();
      expect(script.outbox.settled).toEqual([]);
      script.transport.answer(1);
      await script.publisher.idle();
      expect(script.outbox.settled).toMatchObject([
        { id: event.id, result: 'retry', reason: 'queue "b" does not exist' },
      ]);
    });

    it('an event that nobody misses any more leaves the window', async () => {
      const script = scripted({ windowSize: 1 });
      script.publisher.offer([publication({ targets: [] }), publication()]);
      await settleDown();
      expect(script.transport.unanswered).toHaveLength(1);
    });
  });

  describe('settling', () => {
    it('writes what arrives while one statement runs with the next', async () => {
      const script = scripted();
      const release = script.outbox.hold();
      script.publisher.offer(publications(4));
      script.transport.answer(1);
      await settleDown();
      script.transport.answer(3);
      release();
      await script.publisher.idle();
      expect(script.outbox.batches.map((batch) => batch.length)).toEqual([1, 3]);
    });

    it('gathers what comes in the moments after a statement, and waits for it no longer than that', async () => {
      const script = scripted();
      script.publisher.offer(publications(4));
      script.transport.answer(1);
      await settleDown();
      script.transport.answer(2);
      await settleDown();
      script.transport.answer(1);
      await settleDown();
      expect(script.outbox.batches.map((batch) => batch.length)).toEqual([1]);
      await jest.advanceTimersByTimeAsync(25);
      expect(script.outbox.batches.map((batch) => batch.length)).toEqual([1, 3]);
    });

    it('writes outcomes of one moment together', async () => {
      const script = scripted();
      script.publisher.offer(publications(5));
      script.transport.answer(5);
      await script.publisher.idle();
      expect(script.outbox.batches.map((batch) => batch.length)).toEqual([5]);
    });

    it('tells of claims that were lost', async () => {
      const script = scripted();
      const [lost, ended, settled] = publications(3) as [Publication, Publication, Publication];
      script.outbox.unsettled = [
        { id: lost.id, token: lost.token, because: 'claim-lost' },
        { id: ended.id, token: ended.token, because: 'ended' },
      ];
      script.publisher.offer([lost, ended, settled]);
      script.transport.answer(3);
      await script.publisher.idle();
      const told = script.calls.filter(({ hook }) => hook === 'settleLost' || hook === 'settled');
      expect(told).toEqual([
        { hook: 'settled', argument: { count: 1 } },
        { hook: 'settleLost', argument: { eventId: lost.id } },
      ]);
    });

    it('is tried again while the database is away, and goes on when it is back', async () => {
      const script = scripted();
      script.outbox.failure = new Error('connection refused');
      script.publisher.offer(publications(2));
      script.transport.answer(2);
      await settleDown();
      await jest.advanceTimersByTimeAsync(1000);
      expect(script.outbox.attempts).toBeGreaterThan(2);
      expect(script.outbox.settled).toEqual([]);
      script.outbox.failure = undefined;
      await jest.advanceTimersByTimeAsync(5000);
      await script.publisher.idle();
      expect(script.outbox.settled).toHaveLength(2);
    });

    it('is given up when the leases have run out: then another claim may hold the rows', async () => {
      const script = scripted({ leaseMs: 30_000 });
      script.outbox.failure = new Error('connection refused');
      script.publisher.offer(publications(2));
      script.transport.answer(2);
      await settleDown();
      await jest.advanceTimersByTimeAsync(31_000);
      await script.publisher.idle();
      const { attempts } = script.outbox;
      await jest.advanceTimersByTimeAsync(60_000);
      expect(script.outbox.attempts).toBe(attempts);
    });
  });

  describe('stop', () => {
    it('gives back what waits, finishes what is in flight, and takes nothing more', async () => {
      const script = scripted({ windowSize: 2 });
      const [first, second, waiting, late] = publications(4) as [Publication, Publication, Publication, Publication];
      script.publisher.offer([first, second, waiting]);
      const stopped = script.publisher.stop(10_000);
      script.publisher.offer([late]);
      await settleDown();
      script.transport.answer(2);
      await stopped;
      const stopping = { result: 'postponed', delayMs: 0, reason: 'this process is stopping' };
      expect(script.outbox.settled).toMatchObject([
        { id: waiting.id, ...stopping },
        { id: late.id, ...stopping },
        { id: first.id, result: 'published' },
        { id: second.id, result: 'published' },
      ]);
    });

    it('releases what a job was about to hand over', async () => {
      const script = scripted({ windowSize: 1, bufferSize: 1 });
      const events = publications(5);
      const submitted = script.publisher.submit(events);
      const stopped = script.publisher.stop(10_000);
      await submitted;
      script.transport.answer(1);
      await stopped;
      expect(
        script.outbox.settled
          .filter(({ result }) => result === 'postponed')
          .map(({ id }) => id)
          .sort(),
      ).toEqual(ids(events.slice(1)).sort());
    });

    it('ends at its deadline when the broker does not answer', async () => {
      const script = scripted();
      script.publisher.offer(publications(1));
      const stopped = script.publisher.stop(10_000);
      await jest.advanceTimersByTimeAsync(10_000);
      await stopped;
      expect(script.outbox.settled).toEqual([]);
    });

    it('tries no statement again after its deadline', async () => {
      const script = scripted();
      script.outbox.failure = new Error('the pool is closed');
      script.publisher.offer(publications(1));
      script.transport.answer(1);
      await settleDown();
      const stopped = script.publisher.stop(300);
      await jest.advanceTimersByTimeAsync(300);
      await stopped;
      await settleDown();
      const { attempts } = script.outbox;
      await jest.advanceTimersByTimeAsync(60_000);
      expect(script.outbox.attempts).toBe(attempts);
    });
  });

  it('is idle when nothing was ever taken over', async () => {
    await scripted().publisher.idle();
  });
});
