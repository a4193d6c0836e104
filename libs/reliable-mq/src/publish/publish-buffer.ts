import type { Publication } from './publication';

/** A first-in first-out queue, bounded by count and by bytes of payload; both ends in constant time. */
export class PublishBuffer {
  private items: (Publication | undefined)[] = [];
  private head = 0;
  private bytes = 0;

  constructor(
    private readonly maxSize: number,
    private readonly maxBytes: number,
  ) {}

  get size(): number {
    return this.items.length - this.head;
  }

  /** @returns false when there is no room */
  push(publication: Publication): boolean {
    if (this.size >= this.maxSize || this.bytes + publication.payload.length > this.maxBytes) return false;
    this.items.push(publication);
    this.bytes += publication.payload.length;
    return true;
  }

  shift(): Publication | undefined {
    const next = this.items[this.head];
    if (!next) return undefined;
    this.items[this.head] = undefined;
    this.head += 1;
    this.bytes -= next.payload.length;
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return next;
  }
}
