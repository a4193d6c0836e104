import type { Publication } from './publication';
import { deferred, ids, publication, publications, ROOMY, scripted, settleDown } from './scripted-publishing.fixture';

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

  it('is idle when nothing was ever taken over', async () => {
    await scripted().publisher.idle();
  });
});
