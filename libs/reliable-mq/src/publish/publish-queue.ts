import type { Publication } from './publication';

export interface QueuedPublication {
  readonly publication: Publication;
  /** Of its payload. */
  readonly bytes: number;
}

/** What waits to be published, first in first out, bounded by count and by bytes of payload; both ends in constant time. */
export class PublishQueue {
  private items: (QueuedPublication | undefined)[] = [];
  private head = 0;
  private bytes = 0;

  constructor(
    private readonly maxSize: number,
    private readonly maxBytes: number,
  ) {}

  get size(): number {
    return this.items.length - this.head;
  }

  /**
   * A single publication is taken whatever its size: a row that was recorded under other options must get through.
   * @returns false when there is no room
   */
  push(publication: Publication): boolean {
    const bytes = Buffer.byteLength(publication.payload);
    if (this.size > 0 && (this.size >= this.maxSize || this.bytes + bytes > this.maxBytes)) return false;
    this.items.push({ publication, bytes });
    this.bytes += bytes;
    return true;
  }

  shift(): QueuedPublication | undefined {
    const next = this.items[this.head];
    if (!next) return undefined;
    this.items[this.head] = undefined;
    this.head += 1;
    this.bytes -= next.bytes;
    // Cut off what was taken only now and then: Array.shift moves all that remains.
    if (this.head === this.items.length || (this.head > 1024 && this.head * 2 > this.items.length)) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return next;
  }
}
