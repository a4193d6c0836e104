import { randomUUID } from 'node:crypto';
import type { HookRunner } from '../event/hook-runner';
import type { InboxKey, InboxRow } from '../inbox/inbox.store';
import { HeldClaim } from './claim';
import { handlingLeaseMs } from './handler';
import type { QueueHandlers } from './handler-registry';
import type { InboxWriter } from './inbox-writer';
import type { OpenedMessage, UnhandledMessage } from './message';
import { HANDLED, type Outcome, outcomeOfRow, STOPPING, TAKEN } from './outcome';

/** A row that stands for a message, under which id. */
interface FoundRow {
  readonly key: InboxKey;
  readonly row: InboxRow;
}

/** What becomes of a message that the inbox of its queue has a row for already. */
export class KnownMessages {
  constructor(
    private readonly queue: QueueHandlers,
    private readonly writer: InboxWriter,
    private readonly hooks: HookRunner,
  ) {}

  /**
   * One that was given up may have been sent again by hand, or moved back out of the parking queue; one of another publisher may be
   * another message.
   * @returns how the message stands, or the claim to go on with
   */
  async resume(message: OpenedMessage): Promise<Outcome | HeldClaim> {
    const { stores } = this.queue;
    const { redrives } = message.stored;
    const found = await this.find(message);
    if (!found) return found === undefined ? STOPPING : this.duplicate(message.key, HANDLED);
    const { key, row } = found;
    if (isAnother(message, row)) return anotherMessage(row);
    const isGivenUp = row.status === 'dead' || row.status === 'rejected';
    if (isGivenUp && (redrives > row.redrives || message.isMovedBack)) {
      const claim = { token: randomUUID(), leaseMs: handlingLeaseMs(message.handler.timeoutMs) };
      const anew = await this.writer.persist(
        stores,
        async () => (await stores.inbox.claimAnew(key, redrives, message.isMovedBack, claim)) ?? null,
      );
      if (anew === undefined) return STOPPING;
      if (anew) return new HeldClaim(stores, key, claim, anew, true, this.writer);
    }
    return this.duplicate(message.key, outcomeOfRow(row));
  }

  /** Nothing more is done with it. @returns how it stands */
  async outcomeOf(message: OpenedMessage | UnhandledMessage): Promise<Outcome> {
    const found = await this.find(message);
    return found === undefined ? STOPPING : this.duplicate(message.key, outcomeOfRow(found?.row));
  }

  /**
   * A message that was kept by its bytes turned out to have a row by its own id as well.
   * @param claim on the row by its bytes, which is not needed any more
   */
  async dropCopy(message: OpenedMessage, claim: HeldClaim): Promise<Outcome> {
    const { inbox } = this.queue.stores;
    const row = await this.writer.persist(this.queue.stores, async () => (await inbox.find(message.key)) ?? null);
    if (row === undefined) return STOPPING;
    if (row && isAnother(message, row)) return anotherMessage(row);
    await claim.drop();
    return row?.status === 'handled' ? HANDLED : TAKEN;
  }

  /** By its own id, or the one that was made of its bytes. @returns null: there is none; undefined: the process is stopping */
  private find({ key, parkingKey }: OpenedMessage | UnhandledMessage): Promise<FoundRow | null | undefined> {
    const { stores } = this.queue;
    return this.writer.persist(stores, async () => {
      for (const each of [key, parkingKey()]) {
        const row = await stores.inbox.find(each);
        if (row) return { key: each, row };
      }
      return null;
    });
  }

  private duplicate({ eventId, type, consumer }: InboxKey, outcome: Outcome): Outcome {
    this.hooks.run('duplicate', { eventId, type, consumer });
    return outcome;
  }
}

/** Whether the row is of another message that was given the same id and type. This library's own ids are never given twice. */
function isAnother({ stored }: OpenedMessage, { bodyHash }: InboxRow): boolean {
  return bodyHash !== null && stored.bodyHash !== null && !bodyHash.equals(stored.bodyHash);
}

function anotherMessage({ status }: InboxRow): Outcome {
  const reason = `its messageId and type are those of another message, received before with another body (${status})`;
  return { kind: 'rejected', reason, isParked: true };
}
