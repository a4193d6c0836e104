import type { HandlingRecord, EventRecord } from '../database/operations.store';
import type { AuditRecord } from '../database/audit';
import type { FailureGroup as FoundGroup } from '../operate/failure-groups';
import { cutText } from '../log/clean-text';
import type { Attempt, AuditEntry, EventDetail, EventSummary, FailureGroup, Handling } from './api';
import type { Shown } from './redaction';

// What the database holds may be anything and of any size: a foreign message's type, a reason of a megabyte. Answers stay bounded.

const MAX_REASON_LENGTH = 2000;
const MAX_ATTEMPTS = 100;
const MAX_CONSUMERS = 100;
const MAX_NAME_LENGTH = 300;
const MAX_HEADERS = 50;
const MAX_HEADER_LENGTH = 1000;
const MAX_ITEMS = 1000;

export function toSummary(source: string, event: EventRecord): EventSummary {
  return {
    source,
    id: event.id,
    type: name(event.type),
    version: event.version,
    key: nullable(event.key, name),
    status: event.status,
    attempts: event.attempts,
    redrives: event.redrives,
    reason: nullable(event.reason, reason),
    consumers: event.consumers.slice(0, MAX_CONSUMERS).map(name),
    createdAt: time(event.createdAt),
    endedAt: nullable(event.endedAt, time),
    dueAt: nullable(event.dueAt, time),
    compensatedAt: nullable(event.compensatedAt, time),
    archivedAt: nullable(event.archivedAt, time),
  };
}

export function toDetail(source: string, event: EventRecord, shown: Shown): EventDetail {
  return {
    ...toSummary(source, event),
    ...shown,
    headers: headers(event.headers),
    history: attempts(event.history),
    outcomes: event.outcomes.slice(0, MAX_CONSUMERS).map(({ consumer, outcome, reason: why, where, at }) => ({
      consumer: name(consumer),
      outcome,
      ...(why && { reason: reason(why) }),
      ...(where !== undefined && { where: name(where) }),
      at: time(at),
    })),
    causationId: event.causationId,
    compensationAttempts: event.compensationAttempts,
    publishedAt: nullable(event.publishedAt, time),
  };
}

/** Without the message: what a consumer could not take may hold anything, and belongs to nobody whom `redact` knows. */
export function toHandling(source: string, handling: HandlingRecord): Handling {
  return {
    source,
    eventId: name(handling.eventId),
    consumer: name(handling.consumer),
    type: name(handling.type),
    version: handling.version,
    status: handling.status,
    key: nullable(handling.key, name),
    attempts: handling.attempts,
    reason: nullable(handling.reason, reason),
    history: attempts(handling.history),
    receivedAt: time(handling.receivedAt),
    endedAt: nullable(handling.endedAt, time),
    dueAt: nullable(handling.dueAt, time),
  };
}

export function toGroup({ text, where, types, firstSeen, lastSeen, example, ...group }: FoundGroup): FailureGroup {
  return {
    ...group,
    text: reason(text),
    where: nullable(where, name),
    types: types.slice(0, MAX_CONSUMERS).map(name),
    firstSeen: time(firstSeen),
    lastSeen: time(lastSeen),
    example: { eventId: name(example.eventId), reason: nullable(example.reason, reason) },
  };
}

export function toAuditEntry(source: string, record: AuditRecord): AuditEntry {
  const { id, at, operation, runId, by, why, filter, items, count } = record;
  return { source, id, at: time(at), operation, runId, by, why, filter, items: items.slice(0, MAX_ITEMS), count };
}

/** Of a column, or of JSON, where it may have been written by anyone. */
export function time(at: Date | string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at).slice(0, MAX_NAME_LENGTH) : date.toISOString();
}

function attempts(history: EventRecord['history']): readonly Attempt[] {
  return history.slice(-MAX_ATTEMPTS).map(({ attempt, at, reason: why, where }) => ({
    attempt,
    at: time(at),
    reason: reason(why),
    ...(where !== undefined && { where: name(where) }),
  }));
}

function headers(all: EventRecord['headers']): Readonly<Record<string, unknown>> {
  const some = Object.entries(all).slice(0, MAX_HEADERS);
  // Not by assignment: one of the names may be `__proto__`.
  return Object.fromEntries(
    some.map(([key, value]) => [name(key), typeof value === 'string' ? cutText(value, MAX_HEADER_LENGTH) : value]),
  );
}

function reason(text: string): string {
  return cutText(text, MAX_REASON_LENGTH);
}

function name(text: string): string {
  return cutText(text, MAX_NAME_LENGTH);
}

function nullable<From, To>(value: From | null | undefined, to: (value: From) => To): To | null {
  return value === null || value === undefined ? null : to(value);
}
