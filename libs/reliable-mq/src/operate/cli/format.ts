import type { EventRecord, HandlingRecord } from '../../database/operations.store';
import type { AttemptRecord } from '../../event/outcome';

const MAX_REASON = 160;

/** Rows of columns that stand below each other; the last one is as long as it is. */
export function columns(rows: readonly (readonly string[])[], widest = 60): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.slice(0, -1).entries())
      widths[index] = Math.max(widths[index] ?? 0, Math.min(cell.length, widest));
  }
  const lines = rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** With a line of headings. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], empty: string): string {
  return rows.length === 0 ? `${empty}\n` : columns([headings, ...rows]);
}

/** In UTC, to the second. */
export function moment(at: Date | null): string {
  return at === null ? '-' : `${at.toISOString().slice(0, 19)}Z`;
}

/** 340 ms, 12 s, 5 min, 3 h, 2 d. */
export function duration(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
  ] as const;
  const unit = units.find(([size]) => ms >= 2 * size);
  return unit ? `${Math.round(ms / unit[0])} ${unit[1]}` : `${Math.round(ms)} ms`;
}

/** On one line. */
export function brief(text: string | null): string {
  if (text === null) return '-';
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_REASON ? `${line.slice(0, MAX_REASON - 1)}…` : line;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** One event, with what its consumers reported, over several lines. */
export function eventLines(event: EventRecord & { readonly source?: string }): string {
  const { id, type, status, key, source, attempts, reason, outcomes, causationId, redrives } = event;
  const of = [key !== null && `key ${key}`, source !== undefined && `in ${source}`].filter(Boolean).join(', ');
  const facts: (readonly [string, string])[] = [
    ['recorded', moment(event.createdAt)],
    ['published', event.publishedAt ? moment(event.publishedAt) : `not yet; ${count(attempts, 'attempt')}`],
    ...outcomes.map(({ consumer, outcome, at, reason: why, where }): [string, string] => [
      consumer,
      `${outcome} ${moment(new Date(at))}${why === null ? '' : `: ${brief(why)}`}${placeText(where)}`,
    ]),
    ...event.consumers
      .filter((consumer) => !outcomes.some((each) => each.consumer === consumer))
      .map((consumer): [string, string] => [consumer, 'has reported nothing']),
    ['ended', event.endedAt ? moment(event.endedAt) : `not yet; looked at again ${moment(event.dueAt)}`],
  ];
  if (reason !== null) facts.push(['reason', brief(reason)]);
  if (event.compensatedAt) facts.push(['compensated', moment(event.compensatedAt)]);
  else if (status === 'dead' && event.dueAt !== null)
    facts.push(['compensation', `is under way: ${count(event.compensationAttempts, 'attempt')}`]);
  else if (status === 'dead' && !event.archivedAt) facts.push(['needs', 'a person: nobody undoes it']);
  if (event.archivedAt) facts.push(['archived', moment(event.archivedAt)]);
  if (redrives > 0) facts.push(['redriven', `${redrives}×`]);
  if (causationId !== null) facts.push(['caused by', causationId]);
  return `event ${id}  ${type}  ${status.toUpperCase()}${of && `  (${of})`}\n${indented(facts)}${historyLines(event.history)}`;
}

/** What one consumer did with an event. */
export function handlingLines(handling: HandlingRecord & { readonly source?: string }): string {
  const { eventId, consumer, type, status, attempts, reason, source } = handling;
  const facts: (readonly [string, string])[] = [
    ['received', moment(handling.receivedAt)],
    ['attempts', String(attempts)],
    ['ended', handling.endedAt ? moment(handling.endedAt) : `not yet; tried again ${moment(handling.dueAt)}`],
  ];
  if (reason !== null) facts.push(['reason', brief(reason)]);
  const of = source === undefined ? '' : `  (in ${source})`;
  return `  ${consumer} ${status.toUpperCase()} ${eventId} ${type}${of}\n${indented(facts, '      ')}${historyLines(handling.history, '      ')}`;
}

function placeText(where: string | undefined): string {
  return where === undefined ? '' : ` at ${where}`;
}

function indented(facts: readonly (readonly [string, string])[], indent = '    '): string {
  return columns(facts.map(([name, value]) => [`${indent}${name}`, value]));
}

function historyLines(history: readonly AttemptRecord[], indent = '    '): string {
  return history
    .map(
      ({ attempt, at, reason, where }) =>
        `${indent}attempt ${attempt}, ${moment(new Date(at))}: ${brief(reason)}${placeText(where)}\n`,
    )
    .join('');
}
