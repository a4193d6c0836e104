import { randomFillSync } from 'node:crypto';

/** Random bytes of one id, taken from a pool: one call of the system's generator serves a hundred ids and more. */
const TAIL_BYTES = 8;
const pool = Buffer.allocUnsafe(TAIL_BYTES * 256);
let poolOffset = pool.length;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** A counter in the 12 bits beside the time keeps the ids of one millisecond in order (RFC 9562 section 6.2, method 1). */
const COUNTER_LIMIT = 0x1000;
let lastMs = 0;
let counter = 0;

/**
 * A new event id: UUIDv7 (RFC 9562 section 5.7), greater than every id that this process has made before, also within one
 * millisecond and after the clock was set back. So inserts touch the right edge of the primary key's index only, and events that
 * are found in the table are published in the order they were recorded in. Only pruning compares the time in it with a clock's, to
 * know where to begin and end.
 */
export function newEventId(): string {
  advance(Date.now());
  const at = takeRandom();
  const byte = (index: number): string => HEX[pool[at + index] as number] as string;
  const variant = HEX[0x80 | ((pool[at] as number) & 0x3f)] as string;
  return (
    `${timePart(lastMs)}-7${counter.toString(16).padStart(3, '0')}-${variant}${byte(1)}-` +
    byte(2) +
    byte(3) +
    byte(4) +
    byte(5) +
    byte(6) +
    byte(7)
  );
}

/** An id that is lower than each that is made from this moment on, in milliseconds since 1970. */
export function lowestEventId(ms: number): string {
  return `${timePart(Math.max(0, Math.floor(ms)))}-0000-0000-000000000000`;
}

function timePart(ms: number): string {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}`;
}

/** @returns where in the pool the next random bytes are */
function takeRandom(): number {
  if (poolOffset === pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  poolOffset += TAIL_BYTES;
  return poolOffset - TAIL_BYTES;
}

function advance(nowMs: number): void {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    // From the lower half, so that at least 2048 ids fit into the millisecond.
    counter = pool.readUInt16BE(takeRandom()) & 0x7ff;
    return;
  }
  counter += 1;
  if (counter < COUNTER_LIMIT) return;
  lastMs += 1;
  counter = 0;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether the text has the form of a UUID, which every id in an outbox has. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
