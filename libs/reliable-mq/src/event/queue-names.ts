/** Name of the queue in which a consumer takes one event type. */
export function consumerQueue(consumer: string, type: string): string {
  return `${consumer}.${type}`;
}

/** Name of the queue in which a service takes its receipts: one that lives on when a node of the broker goes away. */
export function receiptQueue(service: string): string {
  return `${service}.receipts.quorum`;
}

/** Name of the queue for them of earlier versions, a classic one. What is in it still counts. */
export function formerReceiptQueue(service: string): string {
  return `${service}.receipts`;
}

/** Name of the queue that keeps the messages a consumer could not take. */
export function parkingQueue(consumer: string): string {
  return `${consumer}.parked`;
}

/** Event types that would give a consumer's queue one of these names. */
export const RESERVED_EVENT_TYPES: readonly string[] = ['receipts', 'receipts.quorum', 'parked'];
