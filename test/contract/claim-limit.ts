import type { ClaimLimit } from '../../libs/reliable-mq/src/outbox/outbox.store';

/** A claim that no test's payloads fill. */
export function upTo(rows: number): ClaimLimit {
  return { rows, bytes: 2 ** 30 };
}
