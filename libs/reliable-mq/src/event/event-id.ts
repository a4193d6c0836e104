import { randomUUID } from 'node:crypto';

/** A counter in the 12 bits beside the time keeps the ids of one millisecond in order (RFC 9562 section 6.2, method 1). */
const COUNTER_LIMIT = 0x1000;
let lastMs = 0;
let lastTime = '';
let counter = 0;

/**
 * A new event id: UUIDv7 (RFC 9562 section 5.7), greater than every id that this process has made before, also within one
 * millisecond and after the clock was set back. So inserts touch the right edge of the primary key's index only, and events that
 * are found in the table are published in the order they were recorded in. Only pruning compares the time in it with a clock's, to
 * know where to begin and end.
 */
export function newEventId(): string {
  const random = randomUUID();
  const nowMs = Date.now();
  counter += 1;
  // From the lower half, so that at least 2048 ids fit into the millisecond.
  if (nowMs > lastMs) begin(nowMs, Number.parseInt(random.slice(0, 3), 16) & 0x7ff);
  else if (counter === COUNTER_LIMIT) begin(lastMs + 1, 0);
  // What is behind the 19th character has the same form in each version: the variant, and 62 random bits.
  return `${lastTime}-7${counter.toString(16).padStart(3, '0')}-${random.slice(19)}`;
}

/** An id that is lower than each that is made from this moment on, in milliseconds since 1970. */
export function lowestEventId(ms: number): string {
  return `${timePart(Math.max(0, Math.floor(ms)))}-0000-0000-000000000000`;
}

function begin(ms: number, from: number): void {
  lastMs = ms;
  lastTime = timePart(ms);
  counter = from;
}

function timePart(ms: number): string {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether the text has the form of a UUID, which every id in an outbox has. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
