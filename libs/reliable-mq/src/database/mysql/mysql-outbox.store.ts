import type { DataSource, EntityManager } from 'typeorm';
import { describeError } from '../../event/errors';
import { storableText } from '../../event/storable';
import type {
  AppliedReceipts,
  Claim,
  ClaimableStatus,
  ClaimLimit,
  DueRange,
  NewOutboxEvent,
  OutboxStore,
  PublishSettlement,
  Receipt,
  RefusedReceipt,
  Unsettled,
} from '../../outbox/outbox.store';
import { inParts } from '../in-parts';
import { isRefused } from './database-errors';
import { appendedHistory } from './append-history';
import { applyReceipts } from './outbox/apply-receipts';
import { claimEvents } from './outbox/claim-events';
import { insertEvents } from './outbox/insert-events';
import { byKey, OutboxRows } from './outbox/outbox-rows';
import { settlePublishing } from './outbox/settle-publishing';
import { serverOf } from './server';
import { inOwnTransaction, queryAlone, queryOn, writeAlone, writeIn, writeOn } from './sql';
import { sqlNamesOf } from './sql-names';
import { FROM_NOW, microseconds, NOW, OLDEST_ID_WITHIN, toBinary, toUuid } from './values';

/**
 * MySQL and MariaDB. There is no `UPDATE … RETURNING`: what has to look at a row before it changes it does both in one transaction of
 * its own, READ COMMITTED.
 *
 * Locks: whatever waits for rows locks them by primary key, in the order of their ids, so that statements over the same rows wait for
 * each other instead of deadlocking; claim and prune wait for nobody (SKIP LOCKED). A compensation handler's transaction holds
 * its dead row for as long as the handler runs: nothing here waits for a dead row.
 */
export class MysqlOutboxStore implements OutboxStore {
  /** @param onMissing is called when a row is not there that was committed and not pruned */
  constructor(
    private readonly dataSource: DataSource,
    private readonly onMissing: () => void = () => undefined,
  ) {}

  /** Not before the first statement: where the table is, is found at boot. */
  private get table(): string {
    return sqlNamesOf(this.dataSource).outbox;
  }

  insert(manager: EntityManager, events: readonly NewOutboxEvent[], token: string, leaseMs: number): Promise<void> {
    const { maxStatementBytes } = serverOf(this.dataSource);
    return insertEvents(manager, this.table, events, { token, leaseMs, maxStatementBytes });
  }

  async existing(ids: readonly string[], token: string): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    const sql = `SELECT id FROM ${byKey(this.dataSource)} WHERE id IN (?) AND claim_token = ?`;
    const rows = await queryAlone<{ id: Buffer }>(this.dataSource, sql, [ids.map(toBinary), toBinary(token)]);
    return new Set(rows.map(({ id }) => toUuid(id)));
  }

  claim(status: ClaimableStatus, limit: ClaimLimit, leaseMs: number, token: string, range?: DueRange): Promise<Claim> {
    return claimEvents(this.dataSource, status, limit, { token, leaseMs }, range);
  }

  async settle(settlements: readonly PublishSettlement[]): Promise<readonly Unsettled[]> {
    if (settlements.length === 0) return [];
    const unsettled = await settlePublishing(this.dataSource, settlements);
    if (unsettled.some(({ because }) => because === 'missing')) this.onMissing();
    return unsettled;
  }

  async applyReceipts(receipts: readonly Receipt[], keptHours?: number): Promise<AppliedReceipts> {
    const refused: RefusedReceipt[] = [];
    const parts = await inParts(
      receipts,
      (some) => applyReceipts(this.dataSource, some, keptHours),
      isRefused,
      (receipt, error) => refused.push({ ...receipt, because: describeError(error) }),
    );
    const unknown = parts.flatMap((part) => part.unknown);
    if (unknown.length > 0) this.onMissing();
    return {
      applied: parts.flatMap(({ applied }) => applied),
      busy: parts.flatMap(({ busy }) => busy),
      unknown,
      refused,
    };
  }

  async settleCompensated(
    manager: EntityManager | undefined,
    id: string,
    token: string,
    handled: boolean,
  ): Promise<boolean> {
    // By no other index: it would hold gaps of it for as long as the handler runs, and receipts of others go through them.
    const sql = `UPDATE ${byKey(this.dataSource)} SET due_at = NULL, claim_token = NULL, compensated_at = IF(?, ${NOW}, NULL) WHERE ${CLAIMED_DEAD}`;
    const parameters = [handled, toBinary(id), toBinary(token)];
    const changed = manager ? writeIn(manager, sql, parameters) : writeAlone(this.dataSource, sql, parameters);
    return (await changed) === 1;
  }

  settleCompensationFailed(id: string, token: string, reason: string, delayMs: number): Promise<boolean> {
    const key = [toBinary(id), toBinary(token)];
    return inOwnTransaction(this.dataSource, async (own) => {
      const [row] = await queryOn<{ history: string; compensation_attempts: string; locked_at: string }>(
        own,
        `SELECT history, compensation_attempts, ${NOW} AS locked_at FROM ${byKey(this.dataSource)} WHERE ${CLAIMED_DEAD} FOR UPDATE`,
        key,
      );
      if (!row) return false;
      const why = storableText(`compensation failed: ${reason}`);
      const history = appendedHistory(row.history, Number(row.compensation_attempts), row.locked_at, why);
      const sql = `UPDATE ${byKey(this.dataSource)} SET due_at = ${FROM_NOW}, claim_token = NULL, history = ? WHERE ${CLAIMED_DEAD}`;
      return (await writeOn(own, sql, [microseconds(delayMs), history, ...key])) === 1;
    });
  }

  /**
   * Walks the primary key from its oldest end: ids are UUIDv7, so they are in the order of their age, and no further index is
   * needed. Rows that are not prunable are few (unfinished and dead ones) and are passed over from `afterId` on.
   */
  prune(
    olderThanHours: number,
    limit: number,
    afterId = '00000000-0000-0000-0000-000000000000',
  ): Promise<readonly string[]> {
    return inOwnTransaction(this.dataSource, async (own) => {
      const rows = await queryOn<{ id: Buffer }>(
        own,
        `SELECT id FROM ${byKey(this.dataSource)}
         WHERE id > ? AND id < ${OLDEST_ID_WITHIN} AND due_at IS NULL AND status IN ('consumed', 'published')
           AND ended_at < ${NOW} - INTERVAL ? SECOND
         ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED`,
        [toBinary(afterId), olderThanHours, Math.round(olderThanHours * 3600), limit],
      );
      await new OutboxRows(this.dataSource, own).delete(rows.map(({ id }) => id));
      return rows.map(({ id }) => toUuid(id));
    });
  }
}

const CLAIMED_DEAD = "id = ? AND claim_token = ? AND status = 'dead'";
