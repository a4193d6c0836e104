import type { Publication } from './publication';
import { ids, publications, scripted, settleDown } from './scripted-publishing.fixture';

describe('Publisher, asked to stop,', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('gives back what waits, finishes what is in flight, and takes nothing more', async () => {
    const script = scripted({ windowSize: 2 });
    const [first, second, waiting, late] = publications(4) as [Publication, Publication, Publication, Publication];
    script.publisher.offer([first, second, waiting]);
    const stopped = script.publisher.stop(10_000);
    script.publisher.offer([late]);
    await settleDown();
    script.transport.answer(2);
    await expect(stopped).resolves.toEqual({ finished: 2, givenBack: 2, leftToLease: 0 });
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
    await expect(stopped).resolves.toEqual({ finished: 0, givenBack: 0, leftToLease: 1 });
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
