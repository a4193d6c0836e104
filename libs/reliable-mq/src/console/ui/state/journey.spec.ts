import type { EventDetail, Handling } from '../../api';
import { journeyOf, placeOf } from './journey';

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();

function event(id: string, of: Partial<EventDetail> = {}): EventDetail {
  return {
    source: 'order',
    id,
    type: `type-of-${id}`,
    version: 1,
    key: null,
    status: 'consumed',
    attempts: 1,
    redrives: 0,
    reason: null,
    consumers: [],
    createdAt: at(0),
    publishedAt: at(1),
    endedAt: at(2),
    dueAt: null,
    compensatedAt: null,
    archivedAt: null,
    payload: {},
    isRedacted: false,
    headers: {},
    history: [],
    outcomes: [],
    causationId: null,
    compensationAttempts: 0,
    ...of,
  };
}

function handling(eventId: string, of: Partial<Handling> = {}): Handling {
  return {
    source: 'inventory',
    eventId,
    consumer: 'inventory',
    type: `type-of-${eventId}`,
    version: 1,
    status: 'handled',
    key: null,
    attempts: 1,
    reason: null,
    history: [],
    receivedAt: at(3),
    endedAt: at(4),
    dueAt: null,
    ...of,
  };
}

describe('a journey', () => {
  it('of nothing is none', () => {
    expect(journeyOf({ events: [], handlings: [] })).toBeUndefined();
  });

  it('puts causes before what they caused, and beside each other by time', () => {
    const journey = journeyOf({
      events: [
        event('late', { createdAt: at(9) }),
        event('grandchild', { causationId: 'child', createdAt: at(5) }),
        event('child', { causationId: 'first', createdAt: at(4) }),
        event('first'),
        event('other-child', { causationId: 'first', createdAt: at(3) }),
      ],
      handlings: [],
    });
    expect(journey?.nodes.map(({ eventId, depth, cause }) => [eventId, depth, cause?.eventId])).toEqual([
      ['first', 0, undefined],
      ['other-child', 1, 'first'],
      ['child', 1, 'first'],
      ['grandchild', 2, 'child'],
      ['late', 0, undefined],
    ]);
  });

  it('shows events that name each other, or themselves, as their cause', () => {
    const journey = journeyOf({
      events: [event('a', { causationId: 'b' }), event('b', { causationId: 'a' }), event('c', { causationId: 'c' })],
      handlings: [],
    });
    expect(journey?.nodes.map(({ eventId }) => eventId).sort()).toEqual(['a', 'b', 'c']);
  });

  it('tells what happened in the order of time, both sides together', () => {
    const [node] =
      journeyOf({
        events: [
          event('a', {
            status: 'dead',
            history: [{ attempt: 1, at: at(1), reason: 'no queue' }],
            publishedAt: at(2),
            endedAt: at(8),
            reason: 'out of stock',
            compensatedAt: at(9),
            archivedAt: at(10),
          }),
        ],
        handlings: [
          handling('a', { status: 'dead', endedAt: at(7), history: [{ attempt: 1, at: at(4), reason: 'deadlock' }] }),
        ],
      })?.nodes ?? [];
    expect(node?.steps.map(({ kind, where, reason }) => [kind, where, reason ?? null])).toEqual([
      ['recorded', 'order', null],
      ['publishFailed', 'order', 'no queue'],
      ['published', 'order', null],
      ['received', 'inventory', null],
      ['attemptFailed', 'inventory', 'deadlock'],
      ['ended', 'inventory', null],
      ['ended', 'order', 'out of stock'],
      ['compensated', 'order', null],
      ['archived', 'order', null],
    ]);
  });

  it('believes a consumer’s own database before what it reported, and its report before nothing', () => {
    const outcomes = [
      { consumer: 'inventory', outcome: 'handled', at: at(4) },
      { consumer: 'mail', outcome: 'retrying', reason: 'timeout', at: at(4) },
      { consumer: 'mail', outcome: 'rejected', at: at(5) },
    ] as const;
    const [node] =
      journeyOf({
        events: [event('a', { consumers: ['inventory', 'mail', 'ledger'], outcomes })],
        handlings: [handling('a', { status: 'failed', endedAt: null, dueAt: at(20) })],
      })?.nodes ?? [];
    expect(node?.lanes.map(({ name, status, to }) => [name, status, to])).toEqual([
      ['order', 'consumed', at(2)],
      ['inventory', 'failed', undefined],
      ['mail', 'rejected', at(5)],
    ]);
    expect(node?.missing).toEqual(['ledger']);
    expect(node?.steps.at(-1)).toMatchObject({ kind: 'waits', where: 'inventory', at: at(20) });
  });

  it('shows what was handled of an event whose service is not configured', () => {
    const journey = journeyOf({ events: [], handlings: [handling('far')] });
    expect(journey?.nodes[0]).toMatchObject({ eventId: 'far', type: 'type-of-far', event: undefined });
    expect(journey?.from).toBe(at(3));
    expect(journey?.to).toBe(at(4));
  });

  it.each([
    [0, 0],
    [5, 50],
    [10, 100],
    [99, 100],
    [-9, 0],
  ])('second %i of ten lies at %i percent', (second, percent) => {
    expect(placeOf(at(second), at(0), at(10))).toBe(percent);
  });

  it('that took no time lies at the start', () => {
    expect(placeOf(at(1), at(1), at(1))).toBe(0);
  });
});
