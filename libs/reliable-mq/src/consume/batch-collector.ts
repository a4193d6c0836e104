import { AsyncResource } from 'node:async_hooks';
import { ALONE, BATCH_WORK_MS, type BatchOutcome, type BatchResult } from './batch-result';
import type { ReadMessage } from './message-reader';

/** One whose handlers run, and one that is being committed. */
const BATCHES_IN_HAND = 2;
/** How long messages run alone after a batch was lost, in milliseconds; doubled at each loss that follows. */
const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 60_000;

interface Waiting<T> {
  readonly message: ReadMessage;
  readonly end: (conclusion: Promise<T>) => void;
}

type Batch<T> = readonly Waiting<T>[];

/**
 * Gathers the messages of one handler into batches. One starts as soon as no handler of another runs, with what is there; what
 * arrives meanwhile is the next. So batches size themselves by the load, and a quiet queue's messages run alone, at once.
 *
 * Two things must not make a queue slow. While a batch works for longer than `BATCH_WORK_MS` (its handlers do not fit the
 * option, or one hangs), messages run alone, side by side as without the option. After a batch that was lost as a whole they do
 * so for a while, for what spoiled it may be there still: another instance that locks the same rows, for example.
 */
export class BatchCollector<T> {
  private readonly waiting: Waiting<T>[] = [];
  private readonly root = new AsyncResource('ReliableMqBatches');
  private inHand = 0;
  private working: Batch<T> | undefined;
  private isScheduled = false;
  private isSlow = false;
  private pauseMs = FIRST_PAUSE_MS;
  private pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly batchSize: number,
    /** Never rejects; calls `onWorked` when its last handler has ended. */
    private readonly runTogether: (messages: readonly ReadMessage[], onWorked: () => void) => Promise<BatchOutcome>,
    /** Stores how a message's attempt ended; of one that is `alone`, makes the attempt. */
    private readonly conclude: (message: ReadMessage, result: BatchResult) => Promise<T>,
  ) {}

  take(message: ReadMessage): Promise<T> {
    if (this.runsAlone()) return this.conclude(message, ALONE);
    return new Promise((end) => {
      this.waiting.push({ message, end });
      if (this.working || this.isScheduled) return;
      // What the broker has sent in one piece arrives in this turn of the event loop.
      this.isScheduled = true;
      setImmediate(() => {
        this.isScheduled = false;
        this.root.runInAsyncScope(() => this.startNext());
      });
    });
  }

  private runsAlone(): boolean {
    return this.isSlow || performance.now() < this.pausedUntil;
  }

  private startNext(): void {
    if (this.runsAlone()) return this.letAllRunAlone();
    if (this.working || this.inHand >= BATCHES_IN_HAND || this.waiting.length === 0) return;
    void this.run(this.waiting.splice(0, this.batchSize));
  }

  private letAllRunAlone(): void {
    for (const { message, end } of this.waiting.splice(0)) end(this.conclude(message, ALONE));
  }

  private async run(batch: Batch<T>): Promise<void> {
    this.inHand += 1;
    this.working = batch;
    const slow = setTimeout(() => {
      this.isSlow = true;
      this.letAllRunAlone();
    }, BATCH_WORK_MS);
    const onWorked = (): void => {
      if (this.working !== batch) return;
      clearTimeout(slow);
      this.working = undefined;
      this.isSlow = false;
      this.startNext();
    };
    await (batch.length === 1 ? this.runOne(batch) : this.runAll(batch, onWorked));
    this.inHand -= 1;
    onWorked();
    this.startNext();
  }

  private async runOne(batch: Batch<T>): Promise<void> {
    await Promise.allSettled(
      batch.map(({ message, end }) => {
        const conclusion = this.conclude(message, ALONE);
        end(conclusion);
        return conclusion;
      }),
    );
  }

  private async runAll(batch: Batch<T>, onWorked: () => void): Promise<void> {
    const { results, isLost } = await this.runTogether(
      batch.map(({ message }) => message),
      onWorked,
    );
    if (isLost) {
      this.pausedUntil = performance.now() + this.pauseMs;
      this.pauseMs = Math.min(this.pauseMs * 2, LAST_PAUSE_MS);
    } else {
      this.pauseMs = FIRST_PAUSE_MS;
    }
    for (const [index, { message, end }] of batch.entries()) end(this.conclude(message, results[index] ?? ALONE));
  }
}
