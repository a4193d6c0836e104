import type { QueueSpec } from '../transport';

/**
 * Deliveries of one message before a quorum queue drops or dead-letters it. RabbitMQ 4 has a limit of 20 by default, which a few
 * lost connections of a busy consumer can use up; here the inbox counts attempts and the queue must not. "No limit" has no
 * spelling that all versions know: 4.x says -1, which 3.x accepts and takes for less than 0 deliveries. So: a number that is
 * never reached.
 */
export const DELIVERY_LIMIT = 2_147_483_647;

/**
 * Bytes of receipts kept for a producer that is away, some 500,000 single ones; beyond it the oldest are dropped. A lost receipt
 * is chased, so the bound costs work, never an outcome. They lie in a quorum queue nevertheless: a classic one is away as long as its
 * node is, and every event would be chased in vain.
 */
export const RECEIPTS_MAX_BYTES = 128 * 1024 * 1024;

export interface QueueOptions {
  readonly queueType: 'quorum' | 'classic';
  /** Of the event queues: one consumer at a time takes from each. */
  readonly singleActiveConsumer: boolean;
}

/**
 * The arguments a queue is declared with. They can't be changed after the first declaration: a change here is a new queue name,
 * or a migration by hand, for every user.
 *
 * - `x-overflow: reject-publish` on what must not lose anything: should a policy limit the queue's length, the publisher is told
 *   (and publishes again) instead of the oldest messages being dropped.
 * - `x-dead-letter-strategy: at-least-once` (quorum queues, RabbitMQ 3.10 and later; it requires `reject-publish`): this library
 *   never rejects a message, but a policy (TTL, delivery limit) may dead-letter, and without it such a message is lost when the
 *   parking queue can't be reached at that moment. It costs nothing while nothing is dead-lettered.
 * - the queue type is always spelled out: a virtual host may have another default.
 * - `x-single-active-consumer` can't be set by a policy.
 */
export function queueArguments(
  kind: QueueSpec['kind'],
  { queueType, singleActiveConsumer }: QueueOptions,
  parkingQueue?: string,
): Readonly<Record<string, unknown>> {
  const type = { 'x-queue-type': queueType, ...(queueType === 'quorum' && { 'x-delivery-limit': DELIVERY_LIMIT }) };
  if (kind === 'receipts') return { ...type, 'x-max-length-bytes': RECEIPTS_MAX_BYTES, 'x-overflow': 'drop-head' };
  return {
    ...type,
    'x-overflow': 'reject-publish',
    ...(kind === 'events' && singleActiveConsumer && { 'x-single-active-consumer': true }),
    ...(parkingQueue !== undefined && {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': parkingQueue,
      ...(queueType === 'quorum' && { 'x-dead-letter-strategy': 'at-least-once' }),
    }),
  };
}
