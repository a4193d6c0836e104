import { schemaScript } from 'nestjs-reliable-mq';
import { EVENT_TYPE, PAYLOAD_SQL } from './works/order-placed';

let script: string | undefined;

/** Statements that make the library's tables, in one transaction. */
export function libraryTables(): readonly string[] {
  return [(script ??= schemaScript())];
}

/** UUIDv7 as a process would have made them a second ago, in the order of `n`. */
const ID = `(lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint - 1000 + n / 1000), 12, '0') || '7' || lpad(to_hex(n % 1000), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid`;

/** Events that were committed and not published. @param due SQL of a time; `n` is the event's number */
export function pendingEvents(
  count: number,
  due = `now() - interval '1 minute' + n * interval '1 microsecond'`,
): readonly string[] {
  return [
    `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts, due_at)
     SELECT id, '${EVENT_TYPE}', 1, ${PAYLOAD_SQL}, '[]', true, 'pending', 0, ${due}
     FROM (SELECT n, ${ID} AS id FROM generate_series(1, ${count}) AS n) AS numbered`,
    'VACUUM ANALYZE reliable_mq_outbox',
  ];
}

/** The same in the outbox that was written by hand. */
export function pendingByHand(count: number): readonly string[] {
  return [
    `INSERT INTO outbox (id, type, payload, due_at)
     SELECT id, '${EVENT_TYPE}', ${PAYLOAD_SQL}, now() - interval '1 minute' + n * interval '1 microsecond'
     FROM (SELECT n, ${ID} AS id FROM generate_series(1, ${count}) AS n) AS numbered`,
    'VACUUM ANALYZE outbox',
  ];
}

/** Events that were consumed long ago, and others whose receipts are awaited later; older than those of `pendingEvents`. */
export function otherEvents(finished: number, future: number): readonly string[] {
  const insert = (from: number, to: number, status: string, due: string, ended: string): string =>
    `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts, due_at, published_at, ended_at)
     SELECT ('00000000-' || lpad(to_hex(n / 65536), 4, '0') || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '${EVENT_TYPE}', 1,
       '{}', '[]', true, '${status}', 1, ${due}, now(), ${ended} FROM generate_series(${from}, ${to}) AS n`;
  return [
    insert(1, finished, 'consumed', 'NULL', `now() - interval '1 hour'`),
    insert(
      finished + 1,
      finished + future,
      'published',
      `now() + interval '1 day' + n * interval '1 millisecond'`,
      'NULL',
    ),
    'VACUUM ANALYZE reliable_mq_outbox',
  ];
}
