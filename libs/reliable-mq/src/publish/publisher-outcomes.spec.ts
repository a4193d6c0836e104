import { publication, publications, ROOMY, scripted, settleDown } from './scripted-publishing.fixture';

describe('Publisher, outcomes:', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

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

  it('of a busy service come for bursts that keep a distance, however fast the broker confirms', async () => {
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
});
