import type { EntityManager } from 'typeorm';
import type { NewOutboxEvent } from '../../../outbox/outbox.store';
import { inRuns } from '../rows-of-values';
import { StatementTooLargeError } from '../../port';
import { raisePacketTo } from '../server';
import { writeIn } from '../sql';
import { FROM_NOW, microseconds, NOW, toBinary } from '../values';

const MAX_INSERTED_ROWS = 1000;
/** Of a row's other values, and of the statement. */
const ROOM_BYTES = 4096;

export interface Insertion {
  readonly token: string;
  readonly leaseMs: number;
  /** Of the server: it ends the connection of whoever sends more. */
  readonly maxStatementBytes: number;
}

/**
 * Insert events in the manager's open transaction, in as many statements as they need.
 * @throws StatementTooLargeError before anything is sent when the server takes no statement as large as one of them needs
 */
export async function insertEvents(
  manager: EntityManager,
  table: string,
  events: readonly NewOutboxEvent[],
  { token, leaseMs, maxStatementBytes }: Insertion,
): Promise<void> {
  const maxBytes = maxStatementBytes - ROOM_BYTES;
  const rows = events.map((event) => ({ event, bytes: escapedBytes(event, maxBytes) }));
  const large = rows.find(({ bytes }) => bytes > maxBytes);
  if (large) throw tooLarge(large.event, large.bytes + ROOM_BYTES, maxStatementBytes);
  for (const run of inRuns(rows, ({ bytes }) => bytes, maxBytes, MAX_INSERTED_ROWS)) {
    const row = `(${FROM_NOW}, ?, 'pending', 0, ${NOW}, '[]', '{}', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
    const sql = `INSERT INTO ${table}
      (due_at, claim_token, status, attempts, created_at, history, outcomes, id, type, version, payload, payload_bytes, headers, consumers, confirm,
       event_key, causation_id)
      VALUES ${run.map(() => row).join(', ')}`;
    await writeIn(
      manager,
      sql,
      run.flatMap(({ event }) => [microseconds(leaseMs), toBinary(token), ...valuesOf(event)]),
    );
  }
}

function valuesOf({
  id,
  type,
  version,
  payload,
  headers,
  consumers,
  confirm,
  key,
  causationId,
}: NewOutboxEvent): unknown[] {
  return [
    toBinary(id),
    type,
    version,
    payload,
    Buffer.byteLength(payload),
    headers && JSON.stringify(headers),
    JSON.stringify(consumers),
    confirm,
    key,
    causationId === null ? null : toBinary(causationId),
  ];
}

/** What the event takes in a statement, where quotes and backslashes are escaped. Counted only where it may matter. */
function escapedBytes({ payload, headers, consumers }: NewOutboxEvent, maxBytes: number): number {
  const texts = [payload, headers ? JSON.stringify(headers) : '', JSON.stringify(consumers)];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) + ROOM_BYTES / 8;
  if (2 * bytes <= maxBytes) return 2 * bytes;
  // eslint-disable-next-line no-control-regex -- what mysql2 escapes, with one character more each
  return texts.reduce((sum, text) => sum + (text.match(/[\0\b\t\n\r\x1a"'\\]/g)?.length ?? 0), bytes);
}

function tooLarge({ id, type }: NewOutboxEvent, bytes: number, maxBytes: number): Error {
  return new StatementTooLargeError(`Event ${id} ("${type}")`, bytes, maxBytes, raisePacketTo(bytes));
}
