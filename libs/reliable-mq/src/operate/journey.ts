import { isUuid } from '../event/event-id';
import type { EventRecord, HandlingRecord, OperationsStore } from '../database/operations.store';

/** Events of one journey that are read, and handlings. */
const MAX_EVENTS = 200;
const MAX_HANDLINGS = 400;
/** Steps from cause to effect, each way. */
const MAX_STEPS = 20;

/** Tables in which a journey is looked for: one service's, or another one's. */
export interface JourneySource {
  /** How the journey calls them. */
  readonly name: string;
  readonly operations: Pick<OperationsStore, 'list' | 'listHandlings' | 'eventsOf' | 'causedBy' | 'handlingsOf'>;
}

export interface JourneyEvent extends EventRecord {
  readonly source: string;
}

export interface JourneyHandling extends HandlingRecord {
  readonly source: string;
}

/** What became of one key, or of one event: from its causes to what it has caused. */
export interface Journey {
  /**
   * Of the outboxes, in the order in which they were recorded, each with what its consumers have reported: those that have the key or the id,
   * the events that led to them, and those that they led to.
   */
  readonly events: readonly JourneyEvent[];
  /** What the consumers of these services have done with these events, or with others of this key, in the order in which they came. */
  readonly handlings: readonly JourneyHandling[];
  /** There is more than a journey is read of (200 events, 400 handlings, 20 steps each way). */
  readonly isCut: boolean;
}

/**
 * The journey of a key or an event id. Causes are followed up from the events that were found, and effects down from them; what else a cause has
 * led to belongs to another journey. Costs a few index probes for each step and source.
 */
export async function findJourney(keyOrId: string, sources: readonly JourneySource[]): Promise<Journey> {
  const search = new Search(sources);
  await search.begin(keyOrId);
  const found = search.ids();
  await search.follow(found, (ids) => search.causes(ids));
  await search.follow(found, (ids) => search.effects(ids));
  return search.journey();
}

class Search {
  private readonly events = new Map<string, JourneyEvent>();
  private readonly handlings = new Map<string, JourneyHandling>();
  private isCut = false;

  constructor(private readonly sources: readonly JourneySource[]) {}

  async begin(keyOrId: string): Promise<void> {
    await this.ask(async ({ name, operations }) => {
      this.addEvents(name, await operations.list({ key: keyOrId, limit: MAX_EVENTS + 1 }));
      this.addHandlings(name, await operations.listHandlings(keyOrId, MAX_HANDLINGS + 1));
    });
    // As the database writes a UUID, and as a foreign publisher may have.
    await this.load([...new Set([keyOrId, ...(isUuid(keyOrId) ? [keyOrId.toLowerCase()] : []), ...this.ids()])]);
  }

  /** Ids of everything that was found: an event of another service is known by its handlings only. */
  ids(): readonly string[] {
    const ofHandlings = [...this.handlings.values()].map(({ eventId }) => eventId);
    return [...new Set([...this.events.keys(), ...ofHandlings])];
  }

  /** @param step from some events to the next ones */
  async follow(from: readonly string[], step: (ids: readonly string[]) => Promise<readonly string[]>): Promise<void> {
    const seen = new Set(from);
    let ids = from;
    for (let steps = 0; ids.length > 0; steps += 1) {
      if (steps === MAX_STEPS || this.isCut) {
        this.isCut = true;
        return;
      }
      ids = [...new Set(await step(ids))].filter((id) => !seen.has(id));
      for (const id of ids) seen.add(id);
    }
  }

  async causes(ids: readonly string[]): Promise<readonly string[]> {
    const causes = ids.flatMap((id) => this.events.get(id)?.causationId ?? []);
    await this.load(causes);
    return causes;
  }

  async effects(ids: readonly string[]): Promise<readonly string[]> {
    const before = new Set(this.events.keys());
    const known = ids.filter(isUuid);
    await this.ask(async ({ name, operations }) => {
      this.addEvents(name, await operations.causedBy(known, MAX_EVENTS + 1));
    });
    const effects = [...this.events.values()].flatMap(({ id, causationId }) =>
      causationId !== null && known.includes(causationId) ? [id] : [],
    );
    await this.load(effects.filter((id) => !before.has(id)));
    return effects;
  }

  journey(): Journey {
    const events = [...this.events.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const handlings = [...this.handlings.values()].sort((a, b) => a.receivedAt.getTime() - b.receivedAt.getTime());
    return { events, handlings, isCut: this.isCut };
  }

  /** These events, and what was done with them. */
  private async load(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const unknown = ids.filter((id) => isUuid(id) && !this.events.has(id));
    await this.ask(async ({ name, operations }) => {
      if (unknown.length > 0) this.addEvents(name, await operations.eventsOf(unknown));
      this.addHandlings(name, await operations.handlingsOf(ids, MAX_HANDLINGS + 1));
    });
  }

  private async ask(question: (source: JourneySource) => Promise<void>): Promise<void> {
    for (const source of this.sources) await question(source);
  }

  private addEvents(source: string, events: readonly EventRecord[]): void {
    for (const event of events) {
      if (this.events.size < MAX_EVENTS || this.events.has(event.id)) this.events.set(event.id, { ...event, source });
      else this.isCut = true;
    }
  }

  private addHandlings(source: string, handlings: readonly HandlingRecord[]): void {
    for (const handling of handlings) {
      const key = JSON.stringify([source, handling.eventId, handling.consumer, handling.type]);
      if (this.handlings.size < MAX_HANDLINGS || this.handlings.has(key))
        this.handlings.set(key, { ...handling, source });
      else this.isCut = true;
    }
  }
}
