import {
  CONSUMER_MAX_LENGTH,
  CONSUMER_PATTERN,
  EVENT_TYPE_MAX_LENGTH,
  EVENT_TYPE_PATTERN,
  eventTypeLabel,
  type EventType,
} from './event-type';
import { RESERVED_EVENT_TYPES } from './queue-names';

/** Of an `integer` column. */
const MAX_VERSION = 2 ** 31 - 1;

const BACKOFF_RANGES: Readonly<Record<string, { readonly min: number; readonly max: number }>> = {
  initialMs: { min: 1, max: Number.MAX_SAFE_INTEGER },
  maxMs: { min: 1, max: Number.MAX_SAFE_INTEGER },
  jitter: { min: 0, max: 1 },
};

/** The event types that this application has shown so far, checked; one class per type and version. */
export class EventTypes {
  private readonly byLabel = new Map<string, EventType>();
  /** The same by what decorators hold: recording asks each time. */
  private readonly known = new Set<EventType>();

  /** @returns what is wrong with it, each a full sentence; nothing when it is known or fine */
  add(eventType: EventType): readonly string[] {
    if (this.known.has(eventType)) return [];
    const problems = this.check(eventType);
    if (problems.length === 0) this.known.add(eventType);
    return problems;
  }

  private check(eventType: EventType): readonly string[] {
    const label = eventTypeLabel(eventType);
    const known = this.byLabel.get(label);
    if (known?.eventClass === eventType.eventClass) return [];
    if (known) return [twoClasses(label, known.eventClass.name, eventType.eventClass.name)];
    const problems = problemsOf(eventType);
    if (problems.length === 0) this.byLabel.set(label, eventType);
    return problems;
  }

  find(event: { readonly type: string; readonly version: number }): EventType | undefined {
    return this.byLabel.get(eventTypeLabel(event));
  }

  all(): readonly EventType[] {
    return [...this.byLabel.values()];
  }
}

function twoClasses(label: string, first: string, second: string): string {
  return first === second
    ? `Two classes ${first} are both the event ${label}: the file that declares it was loaded from two places, such as two copies ` +
        'of a package that services share. `npm ls` shows them; one of each must be left.'
    : `Classes ${first} and ${second} are both the event ${label}. ` +
        "Give one of them another type, or another version: @ReliableEvent({ type: '…', version: 2 }).";
}

function problemsOf({
  type,
  version,
  eventClass,
  consumers,
  giveUp,
  problems: ofOptions = [],
}: EventType): readonly string[] {
  const where = `@ReliableEvent on ${eventClass.name}`;
  const problems = ofOptions.map((problem) => `${where}: ${problem}`);
  if (typeof type !== 'string' || !EVENT_TYPE_PATTERN.test(type) || type.length > EVENT_TYPE_MAX_LENGTH) {
    problems.push(
      `${where}: type ${JSON.stringify(type)} must be words of letters, digits, _ and -, joined by dots, at most ${EVENT_TYPE_MAX_LENGTH} characters.`,
    );
  } else if (RESERVED_EVENT_TYPES.includes(type)) {
    problems.push(`${where}: type "${type}" is reserved for queues of this library; choose another.`);
  }
  if (!Number.isInteger(version) || version < 1 || version > MAX_VERSION)
    problems.push(`${where}: version ${String(version)} must be a whole number from 1 to ${MAX_VERSION}.`);
  for (const consumer of consumers) {
    if (typeof consumer !== 'string' || !CONSUMER_PATTERN.test(consumer) || consumer.length > CONSUMER_MAX_LENGTH) {
      problems.push(
        `${where}: consumer ${JSON.stringify(consumer)} must be words of letters, digits, _ and -, joined by dots, at most ${CONSUMER_MAX_LENGTH} characters.`,
      );
    }
  }
  if (new Set(consumers).size !== consumers.length) problems.push(`${where}: consumers names one consumer twice.`);
  return [...problems, ...problemsOfGiveUp(giveUp).map((problem) => `${where}: giveUp.${problem}`)];
}

function problemsOfGiveUp({ maxAttempts, backoff = {} }: EventType['giveUp']): readonly string[] {
  const problems: string[] = [];
  if (maxAttempts !== undefined && (!Number.isInteger(maxAttempts) || maxAttempts < 1)) {
    problems.push(`maxAttempts ${maxAttempts} must be a whole number from 1.`);
  }
  for (const [name, value] of Object.entries(backoff)) {
    const range = BACKOFF_RANGES[name];
    if (!range) problems.push(`backoff.${name} is unknown; there are ${Object.keys(BACKOFF_RANGES).join(', ')}.`);
    else if (value !== undefined && !(value >= range.min && value <= range.max)) {
      problems.push(`backoff.${name} ${value} is out of range.`);
    }
  }
  const { initialMs, maxMs } = backoff;
  if (initialMs !== undefined && maxMs !== undefined && maxMs < initialMs) {
    problems.push(`backoff.maxMs (${maxMs}) must not be below giveUp.backoff.initialMs (${initialMs}).`);
  }
  return problems;
}
