import { randomUUID } from 'node:crypto';
import { type DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import type { AttemptRecord } from '../../event/outcome';
import { storableText } from '../../event/storable';
import type {
  ClaimableQueue,
  ClaimedInboxRow,
  IdentifiedMessage,
  InboxClaim,
  InboxFailure,
  InboxKey,
  InboxMessage,
  InboxRow,
  InboxStore,
  MessageIdentity,
  Pruned,
  StartCounts,
} from '../../inbox/inbox.store';
import type { InboxStatus } from '../../inbox/inbox.entity';
import { type ClaimedTableRow, failureColumns, placeOf, toClaimedInboxRow } from '../inbox-rows';
import { appendHistory, attemptRecord, LAST_ATTEMPT } from './append-history';
import { ErrorNumber, errorNumber } from './database-errors';
import { limitIdleTime } from './idle-limit';
import { CLAIMED_COLUMNS, InboxClaims } from './inbox-claims';
import { identityColumns, IDENTITY, KEY, keyColumns, MESSAGE, messageColumns } from './inbox-columns';
import { insertOnce } from './insert-once';
import { readRow } from './rows';
import { openRunnerOf, queryAlone, queryIn, waitingAtMost, writeAlone, writeIn } from './sql';
import { STATEMENT_DEADLINE_MS } from '../acquire-query-runner';
import { sqlNamesOf } from './sql-names';
import { FROM_NOW, microseconds, millisecondsBetween, NOW, toBinary } from './values';

/** A claim that took longer than this to get has used up a part of its lease, and is given a whole one, in milliseconds. */
const LEASE_RENEWED_AFTER_MS = 1000;
/** Of one statement. */
const MAX_INSERTED_ROWS = 1000;

/**
 * MySQL and MariaDB. Rows are named by their primary key, or locked by an index that holds nobody up (`InboxClaims`).
 *
 * Duplicates of a message wait for each other at the primary key, whatever the isolation: there is no gap lock, unless the first one rolls
 * back while two or more wait. Then all but one of those meet a deadlock, and their handlers are run again.
 */
export class MysqlInboxStore implements InboxStore {
  private readonly claims: InboxClaims;

  constructor(private readonly dataSource: DataSource) {
    this.claims = new InboxClaims(dataSource);
  }

  /** Not before the first statement: where the table is, is found at boot. */
  private get table(): string {
    return sqlNamesOf(this.dataSource).inbox;
  }

  async insertHandled(
    manager: EntityManager,
    key: InboxKey,
    message: MessageIdentity,
    idleLimitMs: number,
  ): Promise<boolean> {
    await limitIdleTime(manager, idleLimitMs);
    return insertOnce(
      openRunnerOf(manager),
      `INSERT INTO ${this.table} (${IDENTITY}, status, attempts, history, received_at, ended_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, 'handled', 1, '[]', ${NOW}, ${NOW})`,
      identityColumns(key, message),
      UNTOUCHED,
    );
  }

  /** What was there is known by its token, which is another one or none. */
  async insertHandledAll(
    manager: EntityManager,
    { consumer, type }: Pick<InboxKey, 'consumer' | 'type'>,
    messages: readonly IdentifiedMessage[],
  ): Promise<ReadonlySet<string>> {
    const token = toBinary(randomUUID());
    const inOrder = messages.toSorted((a, b) => (a.eventId < b.eventId ? -1 : 1));
    const claimed = new Set<string>();
    for (let from = 0; from < inOrder.length; from += MAX_INSERTED_ROWS) {
      const some = inOrder.slice(from, from + MAX_INSERTED_ROWS);
      const rows = some.map(() => `(?, ?, ?, ?, ?, ?, ?, ?, 'handled', 1, '[]', ${NOW}, ${NOW})`);
      const areNew = await insertOnce(
        openRunnerOf(manager),
        `INSERT INTO ${this.table} (${IDENTITY}, claim_token, status, attempts, history, received_at, ended_at) VALUES ${rows.join(', ')}`,
        some.flatMap(({ eventId, stored }) => [...identityColumns({ eventId, consumer, type }, stored), token]),
        UNTOUCHED,
      );
      const ids = some.map(({ eventId }) => eventId);
      for (const id of areNew ? ids : await this.handledUnder(manager, { consumer, type }, ids, token)) claimed.add(id);
    }
    return claimed;
  }

  private async handledUnder(
    manager: EntityManager,
    { consumer, type }: Pick<InboxKey, 'consumer' | 'type'>,
    eventIds: readonly string[],
    token: Buffer,
  ): Promise<readonly string[]> {
    const rows = await queryIn<{ event_id: string }>(
      manager,
      `SELECT event_id FROM ${this.table} FORCE INDEX (PRIMARY) WHERE event_id IN (?) AND consumer = ? AND type = ? AND claim_token = ?`,
      [eventIds, consumer, type, token],
    );
    return rows.map(({ event_id }) => event_id);
  }

  async find(key: InboxKey): Promise<InboxRow | undefined> {
    const [found] = await queryAlone<object>(
      this.dataSource,
      `SELECT status, attempts, redrives, reason, body_hash, ${millisecondsBetween(NOW, 'due_at')} AS due_in_ms, ${LAST_ATTEMPT} FROM ${this.table} WHERE ${KEY}`,
      keyColumns(key),
    );
    if (!found) return undefined;
    const row = readRow(found) as FoundRow;
    const { status, attempts, redrives, reason, body_hash, due_in_ms } = row;
    return { status, attempts, redrives, reason, ...placeOf(row), bodyHash: body_hash, dueInMs: due_in_ms };
  }

  async adopt(key: InboxKey, message: InboxMessage, claim: InboxClaim, unfinishedStarts: number): Promise<boolean> {
    const beganAtMs = performance.now();
    const inserted = await waitingAtMost(this.dataSource, claim.leaseMs, (own) =>
      insertOnce(
        own,
        `INSERT INTO ${this.table} (${MESSAGE}, status, attempts, history, received_at, unfinished_starts, due_at, claim_token, reason)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'failed', 1, '[]', ${NOW}, ?, ${FROM_NOW}, ?, 'started, not finished')`,
        [
          ...messageColumns(this.dataSource, key, message),
          unfinishedStarts,
          microseconds(claim.leaseMs),
          toBinary(claim.token),
        ],
        UNTOUCHED,
      ),
    );
    if (inserted && performance.now() - beganAtMs < LEASE_RENEWED_AFTER_MS) return true;
    // The lease was reckoned before the statement waited for another transaction, which may have used it up. And the row that is
    // in the way may be this claim's own: of an earlier call whose answer was lost.
    return this.start(key, claim, { attempts: 1, unfinishedStarts });
  }

  async insertFailure(key: InboxKey, message: InboxMessage, failure: InboxFailure, waitMs: number): Promise<boolean> {
    const { status, delayMs, counts } = failureColumns(failure);
    const told = toldOf(failure);
    return waitingAtMost(this.dataSource, waitMs, (own) =>
      insertOnce(
        own,
        `INSERT INTO ${this.table} (${MESSAGE}, status, attempts, received_at, due_at, ended_at, reason, history)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${counts ? 1 : 0}, ${NOW}, ${FROM_NOW}, ${delayMs === null ? NOW : 'NULL'}, ?,
           ${counts ? `JSON_ARRAY(${attemptRecord('1', '?', placeholderOf(failure))})` : "'[]'"})`,
        [
          ...messageColumns(this.dataSource, key, message),
          status,
          microseconds(delayMs),
          told[0],
          ...(counts ? told : []),
        ],
        UNTOUCHED,
      ),
    );
  }

  async park(key: InboxKey, message: InboxMessage, reason: string): Promise<boolean> {
    const columns = messageColumns(this.dataSource, key, message);
    const properties = columns.at(-1);
    const why = storableText(reason);
    const givenUp = "status IN ('rejected', 'dead')";
    return waitingAtMost(this.dataSource, STATEMENT_DEADLINE_MS, (own) =>
      insertOnce(
        own,
        `INSERT INTO ${this.table} (${MESSAGE}, status, attempts, history, received_at, ended_at, reason)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'rejected', 0, '[]', ${NOW}, ${NOW}, ?)`,
        [...columns, why, why, properties],
        UNTOUCHED,
        // Each sees what those before it have assigned: the status comes last.
        [
          `ended_at = IF(${givenUp}, ${NOW}, ended_at)`,
          `reason = IF(${givenUp}, ?, reason)`,
          `properties = IF(${givenUp}, ?, properties)`,
          `status = IF(${givenUp}, 'rejected', status)`,
        ],
      ),
    );
  }

  async unpark(key: InboxKey): Promise<void> {
    await writeAlone(
      this.dataSource,
      `DELETE FROM ${this.table} WHERE ${KEY} AND status IN ('rejected', 'dead')`,
      keyColumns(key),
    );
  }

  claim(
    queues: readonly ClaimableQueue[],
    limit: number,
    token: string,
    which: 'suspects' | 'others',
  ): Promise<readonly ClaimedInboxRow[]> {
    return this.claims.claim(queues, limit, token, which);
  }

  queuesWithSuspects(queues: readonly ClaimableQueue[]): Promise<readonly Pick<InboxKey, 'consumer' | 'type'>[]> {
    return this.claims.queuesWithSuspects(queues);
  }

  wakeWaiting(queues: readonly ClaimableQueue[], limit: number): Promise<number> {
    return this.claims.wakeWaiting(queues, limit);
  }

  prune(olderThanHours: number, limit: number, endedFrom?: string): Promise<Pruned> {
    return this.claims.prune(olderThanHours, limit, endedFrom);
  }

  async start(key: InboxKey, { token, leaseMs }: InboxClaim, begun: StartCounts): Promise<boolean> {
    const matched = await writeAlone(
      this.dataSource,
      `UPDATE ${this.table} SET status = 'failed', due_at = ${FROM_NOW}, attempts = ?, unfinished_starts = ? WHERE ${KEY} AND claim_token = ?`,
      [microseconds(leaseMs), begun.attempts, begun.unfinishedStarts, ...keyColumns(key), toBinary(token)],
    );
    return matched === 1;
  }

  /** In two statements: the second finds the row by the token that the first has given it. */
  async claimAnew(
    key: InboxKey,
    redrives: number,
    movedBack: boolean,
    claim: InboxClaim,
  ): Promise<ClaimedInboxRow | undefined> {
    const token = toBinary(claim.token);
    const matched = await writeAlone(
      this.dataSource,
      `UPDATE ${this.table} SET status = 'failed', due_at = ${FROM_NOW}, claim_token = ?,
         attempts = 0, unfinished_starts = 0, redrives = GREATEST(redrives, ?), ended_at = NULL
       WHERE ${KEY} AND (redrives < ? OR ?) AND status IN ('dead', 'rejected')`,
      [microseconds(claim.leaseMs), token, redrives, ...keyColumns(key), redrives, movedBack],
    );
    if (matched === 0) return undefined;
    const [row] = await queryAlone<object>(
      this.dataSource,
      `SELECT ${CLAIMED_COLUMNS} FROM ${this.table} WHERE ${KEY} AND claim_token = ?`,
      [...keyColumns(key), token],
    );
    return row && toClaimedInboxRow(readRow(row) as ClaimedTableRow, 0);
  }

  async rename(key: InboxKey, token: string, eventId: string, bodyHash: Buffer | null): Promise<boolean> {
    try {
      const matched = await writeAlone(
        this.dataSource,
        `UPDATE ${this.table} SET event_id = ?, body_hash = ? WHERE ${KEY} AND claim_token = ?`,
        [eventId, bodyHash, ...keyColumns(key), toBinary(token)],
      );
      return matched === 1;
    } catch (error) {
      if (error instanceof QueryFailedError && errorNumber(error) === ErrorNumber.DUPLICATE_ENTRY) return false;
      throw error;
    }
  }

  async settleHandled(manager: EntityManager, key: InboxKey, token: string): Promise<boolean> {
    const matched = await writeIn(
      manager,
      `UPDATE ${this.table} SET status = 'handled', due_at = NULL, claim_token = NULL, unfinished_starts = 0,
         ended_at = ${NOW}, body = NULL, properties = NULL, reason = NULL
       WHERE ${KEY} AND claim_token = ?`,
      [...keyColumns(key), toBinary(token)],
    );
    return matched === 1;
  }

  async settleFailed(key: InboxKey, token: string, failure: InboxFailure): Promise<boolean> {
    const { status, delayMs, counts } = failureColumns(failure);
    const told = toldOf(failure);
    const matched = await writeAlone(
      this.dataSource,
      `UPDATE ${this.table} SET ${counts ? `history = ${appendHistory('history', 'attempts', '?', placeholderOf(failure))}, ` : ''}
         status = ?, due_at = ${FROM_NOW}, ended_at = ${delayMs === null ? NOW : 'NULL'}, claim_token = NULL, unfinished_starts = 0, reason = ?
       WHERE ${KEY} AND claim_token = ?`,
      [...(counts ? told : []), status, microseconds(delayMs), told[0], ...keyColumns(key), toBinary(token)],
    );
    return matched === 1;
  }

  async release(key: InboxKey, token: string, before: StartCounts): Promise<boolean> {
    const matched = await writeAlone(
      this.dataSource,
      `UPDATE ${this.table} SET due_at = ${NOW}, claim_token = NULL, attempts = ?, unfinished_starts = ? WHERE ${KEY} AND claim_token = ?`,
      [before.attempts, before.unfinishedStarts, ...keyColumns(key), toBinary(token)],
    );
    return matched === 1;
  }
}

/** Reason and place of a failure, as they are stored; no place where it has none. */
function toldOf({ reason, where }: InboxFailure): readonly string[] {
  return [reason, ...(where === undefined ? [] : [where])].map((text) => storableText(text));
}

function placeholderOf({ where }: InboxFailure): string | undefined {
  return where === undefined ? undefined : '?';
}

/** What a second message of one id changes nothing of. */
const UNTOUCHED = 'version';
interface FoundRow {
  readonly status: InboxStatus;
  readonly attempts: number;
  readonly redrives: number;
  readonly reason: string | null;
  readonly last_attempt: AttemptRecord | null;
  readonly body_hash: Buffer | null;
  readonly due_in_ms: number | null;
}
