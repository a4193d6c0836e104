import { AsyncLocalStorage } from 'node:async_hooks';
import { BatchCollector } from './batch-collector';
import { ALONE, BATCH_WORK_MS, type BatchOutcome, type BatchResult } from './batch-result';
import type { ReadMessage } from './message-reader';

const BATCH_SIZE = 3;

/** A batch that runs until the test lets it go on. */
interface RunningBatch {
  readonly ids: readonly string[];
  /** Its last handler has ended. */
  worked(): void;
  /** It is committed, or lost as a whole. */
  end(isLost: boolean): Promise<void>;
}

describe('BatchCollector', () => {
  let collector: BatchCollector<string>;
  let running: RunningBatch[];
  let alone: string[];

  beforeEach(() => {
    jest.useFakeTimers();
    running = [];
    alone = [];
    const runTogether = (messages: readonly ReadMessage[], onWorked: () => void): Promise<BatchOutcome> =>
      new Promise((resolve) => {
        const end = async (isLost: boolean): Promise<void> => {
          const result: BatchResult = isLost ? ALONE : { kind: 'handled', durationMs: 1 };
          resolve({ results: messages.map(() => result), isLost });
          await settled();
        };
        running.push({ ids: messages.map(({ eventId }) => eventId), worked: onWorked, end });
      });
    collector = new BatchCollector(BATCH_SIZE, runTogether, ({ eventId }, { kind }) => {
      if (kind === 'alone') alone.push(eventId);
      return Promise.resolve(`${eventId} ${kind}`);
    });
  });
  afterEach(() => jest.useRealTimers());

  function take(...ids: readonly string[]): Promise<string[]> {
    return Promise.all(ids.map((eventId) => collector.take({ eventId } as ReadMessage)));
  }

  async function settled(): Promise<void> {
    await jest.advanceTimersByTimeAsync(0);
  }

  it('runs the message of a quiet queue alone, at once', async () => {
    await expect(Promise.all([take('a'), settled()])).resolves.toEqual([['a alone'], undefined]);
    expect(running).toEqual([]);
  });

  it('runs what arrives together together, in batches of at most the size, and ends each message with its result', async () => {
    const ends = take('a', 'b', 'c', 'd', 'e');
    await settled();
    expect(running.map(({ ids }) => ids)).toEqual([['a', 'b', 'c']]);
    await running[0]?.end(false);
    expect(running.map(({ ids }) => ids)).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ]);
    await running[1]?.end(false);
    await expect(ends).resolves.toEqual(['a', 'b', 'c', 'd', 'e'].map((id) => `${id} handled`));
  });

  it('starts the next batch when the handlers of one have ended, and no third before its COMMIT', async () => {
    void take('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    await settled();
    running[0]?.worked();
    expect(running.map(({ ids }) => ids)).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ]);
    running[1]?.worked();
    expect(running).toHaveLength(2);
    await running[0]?.end(false);
    expect(running[2]?.ids).toEqual(['g', 'h']);
  });

  it('lets messages run alone while a batch works for too long, those that wait for it too', async () => {
    void take('a', 'b', 'c', 'd');
    await settled();
    await jest.advanceTimersByTimeAsync(BATCH_WORK_MS - 1);
    expect(alone).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(alone).toEqual(['d']);
    await take('e');
    expect(alone).toEqual(['d', 'e']);
    running[0]?.worked();
    void take('f', 'g');
    await settled();
    expect(running[1]?.ids).toEqual(['f', 'g']);
  });

  it('does not wait with a COMMIT that takes long', async () => {
    void take('a', 'b', 'c', 'd', 'e');
    await settled();
    running[0]?.worked();
    await jest.advanceTimersByTimeAsync(BATCH_WORK_MS / 2);
    running[1]?.worked();
    await jest.advanceTimersByTimeAsync(BATCH_WORK_MS * 2);
    void take('f', 'g');
    await settled();
    expect(alone).toEqual([]);
  });

  it('makes the attempts of a lost batch alone, and lets messages run alone for a second after it', async () => {
    const ends = take('a', 'b', 'c', 'd', 'e');
    await settled();
    await running[0]?.end(true);
    await expect(ends).resolves.toEqual(['a', 'b', 'c', 'd', 'e'].map((id) => `${id} alone`));
    await jest.advanceTimersByTimeAsync(999);
    await expect(take('f', 'g')).resolves.toEqual(['f alone', 'g alone']);
    await jest.advanceTimersByTimeAsync(1);
    void take('h', 'i');
    await settled();
    expect(running[1]?.ids).toEqual(['h', 'i']);
  });

  it('pauses twice as long after each loss that follows, a minute at most, and a second again after a batch that was committed', async () => {
    async function start(): Promise<void> {
      void take('a', 'b');
      await settled();
    }
    /** Of the batch that runs, in seconds. */
    async function pauseAfterLoss(): Promise<number> {
      await running.pop()?.end(true);
      const from = performance.now();
      while (running.length === 0) {
        await jest.advanceTimersByTimeAsync(500);
        await start();
      }
      return (performance.now() - from) / 1000;
    }

    await start();
    const pauses: number[] = [];
    while (pauses.length < 8) pauses.push(await pauseAfterLoss());
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    await running.pop()?.end(false);
    await start();
    await expect(pauseAfterLoss()).resolves.toBe(1);
  });

  it('runs batches in a context of its own, not in that of the message which made one start', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const observed = new BatchCollector(
      BATCH_SIZE,
      (messages) => {
        seen.push(storage.getStore());
        return Promise.resolve({ results: messages.map(() => ALONE), isLost: false });
      },
      () => Promise.resolve('ended'),
    );
    await storage.run('of the first message', async () => {
      const ends = ['a', 'b'].map((eventId) => observed.take({ eventId } as ReadMessage));
      await settled();
      await Promise.all(ends);
    });
    expect(seen).toEqual([undefined]);
  });
});
