import { randomUUID } from 'node:crypto';
import type { InboxKey } from '../inbox/inbox.store';
import type { StoreSet } from '../stores/stores';
import type { OutcomeWriter } from './outcome-writer';
import type { OpenedMessage, UnreadableMessage } from './message-reader';
import { checkPayload, type Reading } from './payload-check';

/** Starts that a redelivered message is assumed to have had, the present one included: its process may have died of it. */
export const STARTS_WHEN_REDELIVERED = 2;

/**
 * Reads messages that were delivered before. Conversions and validation are the application's code: a regular expression or a
 * `@Transform` can kill or block a process as well as a handler, before the message has a row. So it is noted first, under the id that
 * the message is parked under, as what will become of it if its process ends each time: put aside. The note goes when the message
 * could be read; until then the broker keeps the message.
 */
export class RedeliveryReader {
  /** Whose turn it is, by the DataSource that notes it: none waits for another one's that is away. */
  private readonly turns = new WeakMap<StoreSet, Promise<unknown>>();
  /** What is being read, by consumer and id. */
  private readonly active = new Map<string, Promise<unknown>>();

  /** @param stop aborted when the process can't wait any longer */
  constructor(
    private readonly maxUnfinishedStarts: number,
    private readonly outcomes: OutcomeWriter,
    private readonly stop: AbortSignal,
  ) {}

  /** @returns undefined when the process is stopping */
  async read(opened: OpenedMessage): Promise<Reading | undefined> {
    const key = { eventId: opened.parkingId(), consumer: opened.handler.consumer };
    const id = `${key.consumer} ${key.eventId}`;
    // A connection that is lost again and again delivers again what is still being read here: that is no reading that never finished.
    for (let same = this.active.get(id); same; same = this.active.get(id)) await same.catch(() => undefined);
    const reading = this.readNoted(opened, key);
    this.active.set(id, reading);
    try {
      return await reading;
    } finally {
      this.active.delete(id);
    }
  }

  private async readNoted(opened: OpenedMessage, key: InboxKey): Promise<Reading | undefined> {
    const { stores } = opened.handler;
    const token = randomUUID();
    const begun = await this.inTurn(stores, async () => {
      const starts = await this.outcomes.persist(stores, () =>
        stores.inbox.noteReading(key, opened.stored, token, STARTS_WHEN_REDELIVERED),
      );
      if (starts === undefined) return undefined;
      if (starts > this.maxUnfinishedStarts) return { reading: putAside(opened, key.eventId, starts - 1) };
      return { reading: checkPayload(opened, this.stop) };
    });
    const reading = await begun?.reading;
    // What is unreadable is parked in the place of the note.
    if (begun && reading?.kind !== 'unreadable')
      await this.outcomes.persist(stores, () => stores.inbox.endReading(key, token), true);
    return reading;
  }

  /** One after another, until the first wait of each: when one kills the process at once, no other is noted beside it. */
  private inTurn<T>(set: StoreSet, work: () => Promise<T>): Promise<T> {
    const turn = (this.turns.get(set) ?? Promise.resolve()).then(work);
    this.turns.set(
      set,
      turn.catch(() => undefined),
    );
    return turn;
  }
}

function putAside({ stored, receiptAddress }: OpenedMessage, parkingId: string, times: number): UnreadableMessage {
  const reason = `its payload was read ${times} times, and the process ended each time; it may be killing its process`;
  return { kind: 'unreadable', reason, envelope: { stored, receiptAddress }, parkingId, killsProcess: true };
}
