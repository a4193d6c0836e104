/** What is said of one event and of all that are like it, without its id: its type and a reason, for example. */
export type Subject = Readonly<Record<string, string>>;

/** Ids that a summary names. */
const MAX_IDS = 10;
/** The first summary comes after so long, in milliseconds, each further one ten times later … */
const FIRST_SUMMARY_MS = 1000;
const GROWTH = 10;
/** … and then once an hour. */
const LAST_SUMMARY_MS = 3_600_000;
/** Nothing of a kind for so long, in milliseconds: it is over, and what comes then is told at once. */
const QUIET_MS = 120_000;
/** Reasons come from outside: of so many kinds each is told by itself, what is beyond them together. */
const MAX_KINDS = 100;

interface Window {
  readonly subject: Subject;
  timer: NodeJS.Timeout;
  count: number;
  eventIds: string[];
  lastAtMs: number;
}

/**
 * Says at once what happens to the first event, and sums up, ever more rarely, what happens to others like it (of its type, for its reason):
 * a broker that refuses a backlog must not fill the log, neither with a line per event nor with a line per second.
 */
export class WarningDigest {
  private readonly windows = new Map<string, Window>();

  constructor(private readonly warn: (details: Record<string, unknown>) => void) {}

  /**
   * @param eventId undefined: it is about no event
   * @param details what else is said of a single one
   */
  add(eventId: string | undefined, subject: Subject, details: Readonly<Record<string, unknown>> = {}): void {
    const key = this.keyOf(subject);
    const window = this.windows.get(key);
    if (!window || performance.now() - window.lastAtMs > QUIET_MS) {
      if (window) this.close(key, window);
      this.warn({ ...(eventId !== undefined && { eventId }), ...subject, ...details });
      this.open(key, subject);
      return;
    }
    window.lastAtMs = performance.now();
    window.count += 1;
    if (eventId !== undefined && window.eventIds.length < MAX_IDS) window.eventIds.push(eventId);
  }

  /** Says what is left to say. */
  flush(): void {
    for (const [key, window] of this.windows) this.close(key, window);
  }

  private keyOf(subject: Subject): string {
    const key = Object.values(subject).join('\n');
    return this.windows.has(key) || this.windows.size < MAX_KINDS ? key : 'others';
  }

  private open(key: string, subject: Subject): void {
    const window = { subject, count: 0, eventIds: [], lastAtMs: performance.now() };
    this.windows.set(key, { ...window, timer: this.summaryIn(FIRST_SUMMARY_MS, key) });
  }

  private summaryIn(delayMs: number, key: string): NodeJS.Timeout {
    const timer = setTimeout(() => {
      const window = this.windows.get(key);
      if (!window) return;
      if (performance.now() - window.lastAtMs > QUIET_MS) return this.close(key, window);
      this.sumUp(window);
      window.timer = this.summaryIn(Math.min(delayMs * GROWTH, LAST_SUMMARY_MS), key);
    }, delayMs);
    return timer.unref();
  }

  private close(key: string, window: Window): void {
    clearTimeout(window.timer);
    this.windows.delete(key);
    this.sumUp(window);
  }

  private sumUp(window: Window): void {
    const { subject, count, eventIds } = window;
    if (count > 0) this.warn({ ...subject, count, ...(eventIds.length > 0 && { eventIds }) });
    window.count = 0;
    window.eventIds = [];
  }
}
