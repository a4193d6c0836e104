import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { describeError } from '../event/errors';
import type { HandlingRef } from '../event/hooks';
import type { HookRunner } from '../event/hook-runner';
import type { Wakeups } from '../event/wakeups';
import type { ClaimedInboxRow, InboxKey } from '../inbox/inbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { ReceiptSender } from '../receipt/receipt-sender';
import type { TransactionContext } from '../transaction/transaction-context';
import { AttemptRunner } from './attempt-runner';
import { Attempts, type FirstEnd, handlingRef } from './attempts';
import { BatchRunner } from './batch-runner';
import type { Conclusion } from './conclusion';
import { handlingLeaseMs } from './handler';
import type { QueueHandlers } from './handler-registry';
import { InboxRows, type Park } from './inbox-rows';
import { Isolation } from './isolation';
import {
  fromInbox,
  type OpenedMessage,
  type Opening,
  openMessage,
  type PostponedMessage,
  type ReadMessage,
  type ReceiptAddress,
} from './message-reader';
import { OutcomeWriter } from './outcome-writer';
import { checkPayload, type Reading } from './payload-check';
import { createLog } from '../log/log';

/** Starts that a redelivered message is assumed to have had, the present one included: its process may have died of it. */
const STARTS_WHEN_REDELIVERED = 2;

/**
 * Brings one message to a conclusion that is stored in the inbox.
 *
 *   fresh delivery      → one attempt with the inbox row as part of its transaction; a failure is stored, and retried from the inbox
 *                         (`shareCommits`: several messages may share that transaction)
 *   redelivered message → its process may have died of it: the attempt is stored before it starts (`adopt`), of this library's
 *                         events before the payload is validated; from then on the inbox owns the message and the broker is
 *                         told so
 *   claimed inbox row   → the next attempt of a stored failure
 *
 * While the database is away everything waits, nothing is acknowledged, and no attempt is counted.
 */
export class Handling {
  readonly outcomes: OutcomeWriter;
  private readonly attempts: Attempts;
  private readonly rows: InboxRows;
  private readonly logger = createLog();
  private readonly stopping = new AbortController();
  private readonly isolation = new Isolation();
  /** The context of no request and no other message: handlers must not inherit what happened to be current. */
  private readonly root = new AsyncResource('ReliableMqHandling');
  /** What is in progress, by message. */
  private readonly active = new Map<string, Promise<unknown>>();
  private readonly claimed = new Set<Promise<void>>();

  constructor(
    private readonly options: ResolvedOptions['consume'],
    transactions: TransactionContext,
    private readonly receipts: ReceiptSender,
    hooks: HookRunner,
    wakeups: Wakeups,
  ) {
    // Each attempt listens to it while it runs.
    setMaxListeners(0, this.stopping.signal);
    this.outcomes = new OutcomeWriter(hooks, wakeups, this.stopping.signal);
    const { signal } = this.stopping;
    const runner = new AttemptRunner(transactions, hooks);
    const batches = new BatchRunner(transactions, hooks, this.outcomes, signal);
    this.attempts = new Attempts(runner, batches, this.outcomes, hooks, signal);
    this.rows = new InboxRows(options, this.attempts, this.outcomes, this.isolation, hooks);
  }

  /** Cut off what is running: it is rolled back, and given back without having counted. */
  stop(): void {
    this.stopping.abort();
  }

  /** Resolves when no claimed row is being handled. */
  async idle(): Promise<void> {
    while (this.claimed.size > 0) await Promise.all(this.claimed);
  }

  /** Let nothing else of this process start while the work begins. */
  async alone(work: () => Promise<void>): Promise<void> {
    await this.isolation.alone(work);
  }

  /**
   * @param onOwned called as soon as the inbox holds the message, so that the broker need not
   * @returns undefined when the process is stopping: the message must go back to the broker unless it was owned
   */
  handleDelivery(message: ReadMessage, redelivered: boolean, onOwned: () => void): Promise<Conclusion | undefined> {
    return this.afterSame(message, () => this.concludeDelivery(message, redelivered, onOwned));
  }

  /**
   * The same for one of this library's events that was delivered before, whose payload nothing of the application's has seen yet.
   * @param park puts the message into the parking queue if no handler can take it; false: the process is stopping
   */
  handleRedelivery(event: OpenedMessage, park: Park, onOwned: () => void): Promise<Conclusion | undefined> {
    return this.afterSame(event, () => this.concludeRedelivery(event, park, onOwned));
  }

  /**
   * Run the next attempt of a row that was claimed from the inbox, and tell its producer how it ended. Never rejects.
   * @param alone the caller has seen to it that nothing else starts
   */
  handleClaimed(row: ClaimedInboxRow, token: string, queue: QueueHandlers, alone: boolean): Promise<void> {
    const conclude = (): Promise<void> => this.concludeAndReport(row, token, queue);
    const work: Promise<void> = this.root
      .runInAsyncScope(() => this.track(idOf(row), alone ? conclude() : this.isolation.beside(conclude)))
      .catch((error: unknown) => {
        const { eventId, consumer } = row;
        this.logger.error('A claimed message could not be processed; its lease must run out', {
          eventId,
          consumer,
          error: describeError(error),
        });
      })
      .finally(() => this.claimed.delete(work));
    this.claimed.add(work);
    return work;
  }

  /** @returns undefined when the process is stopping */
  async read(opening: Opening): Promise<Reading | undefined> {
    return opening.kind === 'opened' ? checkPayload(opening, this.stopping.signal) : opening;
  }

  /** Store a postponed message as a failed attempt, so that it is tried again. @returns undefined when the process is stopping */
  keep(queue: QueueHandlers, message: PostponedMessage): Promise<Conclusion | undefined> {
    return this.rows.keep(queue, message);
  }

  /** Tell the producer. */
  report(address: ReceiptAddress | undefined, consumer: string, conclusion: Conclusion): void {
    if (!address) return;
    const { queue, ...receipt } = address;
    this.receipts.add(queue, { ...receipt, consumer, ...conclusion });
  }

  private async track<T>(id: string, work: Promise<T>): Promise<T> {
    this.active.set(id, work);
    try {
      return await work;
    } finally {
      if (this.active.get(id) === work) this.active.delete(id);
    }
  }

  /**
   * A lost connection to the broker delivers again what still runs here: without this each copy would wait in the database for the
   * first one, and take a connection from it.
   */
  private async afterSame<T>({ eventId, handler }: OpenedMessage | ReadMessage, work: () => Promise<T>): Promise<T> {
    const id = idOf({ eventId, consumer: handler.consumer, type: handler.eventType.type });
    for (let same = this.active.get(id); same; same = this.active.get(id)) await same.catch(() => undefined);
    return this.track(id, work());
  }

  private async concludeDelivery(
    message: ReadMessage,
    redelivered: boolean,
    onOwned: () => void,
  ): Promise<Conclusion | undefined> {
    const attempt = (ref: HandlingRef, token: string): Promise<Conclusion | undefined> =>
      this.attempts.claimed(message, ref.attempt, token);
    while (!this.stopping.signal.aborted) {
      const available = this.outcomes.available(message.handler.stores);
      if (available) await available;
      const ended = await this.isolation.beside(() =>
        redelivered ? this.adopt(message, onOwned, attempt) : this.firstAttempt(message),
      );
      if (ended === 'existing') return this.rows.concludeExisting(message, onOwned, attempt);
      if (ended !== 'again') return ended;
    }
    return undefined;
  }

  private async concludeRedelivery(
    event: OpenedMessage,
    park: Park,
    onOwned: () => void,
  ): Promise<Conclusion | undefined> {
    const { stores } = event.handler;
    const attempt = async (ref: HandlingRef, token: string): Promise<Conclusion | undefined> =>
      this.rows.conclude(await this.read(event), ref, token, stores, park);
    const available = this.outcomes.available(stores);
    if (available) await available;
    const ended = await this.isolation.beside(() => this.adopt(event, onOwned, attempt));
    return ended === 'existing' ? this.rows.concludeExisting(event, onOwned, attempt) : ended;
  }

  private firstAttempt(message: ReadMessage): Promise<FirstEnd> {
    return message.handler.shareCommits ? this.attempts.shared(message) : this.attempts.fresh(message);
  }

  /** @param attempt once the inbox has the message, as started */
  private async adopt(
    message: OpenedMessage | ReadMessage,
    onOwned: () => void,
    attempt: (ref: HandlingRef, token: string) => Promise<Conclusion | undefined>,
  ): Promise<Conclusion | 'existing' | undefined> {
    const { handler, stored } = message;
    const ref = handlingRef(message, 1);
    const claim = { token: randomUUID(), leaseMs: handlingLeaseMs(handler.timeoutMs) };
    const adopted = await this.outcomes.persist(handler.stores, () =>
      handler.stores.inbox.adopt(ref, stored, claim, STARTS_WHEN_REDELIVERED),
    );
    if (adopted === undefined) return undefined;
    if (!adopted) return 'existing';
    onOwned();
    return attempt(ref, claim.token);
  }

  private async concludeAndReport(row: ClaimedInboxRow, token: string, queue: QueueHandlers): Promise<void> {
    const opening = openMessage(fromInbox(row, row), queue, Number.POSITIVE_INFINITY);
    const address = addressOf(opening);
    const conclusion = await this.concludeClaimed(row, token, queue, opening);
    // The row's number, not the message's: the row may have been redriven by a later copy of the message.
    if (conclusion) this.report(address && { ...address, redrives: row.redrives }, row.consumer, conclusion);
  }

  private async concludeClaimed(
    row: ClaimedInboxRow,
    token: string,
    queue: QueueHandlers,
    opening: Opening,
  ): Promise<Conclusion | undefined> {
    const { eventId, consumer, type, attempts } = row;
    const ref: HandlingRef = { eventId, type, consumer, attempt: attempts };
    const set = queue.stores;
    const unfinished = row.unfinishedStarts - 1;
    if (unfinished >= this.options.maxUnfinishedStarts) {
      const reason = `started ${unfinished} times and never finished; it may be killing its process`;
      return this.outcomes.settleFailure(set, ref, token, { reason, next: { end: 'dead' } });
    }
    return this.rows.conclude(await this.read(opening), ref, token, set);
  }
}

function idOf({ eventId, consumer, type }: InboxKey): string {
  return `${consumer} ${type} ${eventId}`;
}

export function addressOf(opening: Opening): ReceiptAddress | undefined {
  return opening.kind === 'opened' ? opening.receiptAddress : opening.envelope.receiptAddress;
}
