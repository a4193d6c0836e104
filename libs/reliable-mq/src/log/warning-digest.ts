/** What is said of one event, without its id. */
export interface Subject {
  readonly type: string;
  readonly reason: string;
}

/** Ids that a summary names. */
const MAX_IDS = 10;

interface Window {
  readonly subject: Subject;
  readonly timer: NodeJS.Timeout;
  count: number;
  eventIds: string[];
}

/**
 * Says at once what happens to the first event, and sums up what happens to others of its type for the same reason within the
 * next moments: a broker that refuses a backlog must not fill the log with a line per event.
 */
export class WarningDigest {
  private readonly windows = new Map<string, Window>();

  constructor(
    private readonly warn: (details: Record<string, unknown>) => void,
    private readonly everyMs = 1000,
  ) {}

  /** @param details what else is said of a single event */
  add(eventId: string, subject: Subject, details: Readonly<Record<string, unknown>>): void {
    const key = `${subject.type}\n${subject.reason}`;
    const window = this.windows.get(key);
    if (!window) {
      this.warn({ eventId, ...subject, ...details });
      this.open(key, subject);
      return;
    }
    window.count += 1;
    if (window.eventIds.length < MAX_IDS) window.eventIds.push(eventId);
  }

  /** Says what is left to say. */
  flush(): void {
    for (const [key, window] of this.windows) this.close(key, window);
  }

  private open(key: string, subject: Subject): void {
    const timer = setTimeout(() => {
      const window = this.windows.get(key);
      if (window && this.close(key, window)) this.open(key, subject);
    }, this.everyMs);
    timer.unref();
    this.windows.set(key, { subject, timer, count: 0, eventIds: [] });
  }

  /** @returns whether there was something to say */
  private close(key: string, { subject, timer, count, eventIds }: Window): boolean {
    clearTimeout(timer);
    this.windows.delete(key);
    if (count > 0) this.warn({ ...subject, count, eventIds });
    return count > 0;
  }
}
