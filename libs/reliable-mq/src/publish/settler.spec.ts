import type { Publication } from './publication';
import { publications, scripted, settleDown } from './scripted-publishing.fixture';

describe('Settler', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

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
