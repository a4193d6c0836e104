import type { Now, Queue } from '../../api';
import { attentionOf } from './attention';

const OUTBOX = {
  pending: 9,
  published: 9,
  dead: 9,
  compensating: 9,
  compensated: 9,
  needPerson: 0,
  oldestOverdueMs: 0,
};
const INBOX = { failed: 9, rejected: 0, dead: 0, oldestOverdueMs: 0 };
const CALM: Now = {
  at: '2026-01-01T00:00:00.000Z',
  health: { status: 'up', reasons: ['said, but nothing is wrong'] },
  sources: [{ source: 'order', cap: 10_000, outbox: OUTBOX, inbox: INBOX }],
  totals: { recorded: 0, published: 0, consumed: 0, dead: 0, handled: 0, handlingFailed: 0, duplicate: 0 },
};
const QUEUE: Queue = {
  source: 'order',
  name: 'order.a',
  consumer: 'order',
  type: 'a',
  isOwn: true,
  messages: 5,
  consumers: 1,
};

describe('what needs a person', () => {
  it('is nothing while all goes its way, whatever is pending, dead and archived, or about to be retried', () => {
    expect(attentionOf(CALM, [QUEUE, { ...QUEUE, isOwn: false, consumers: 0 }])).toEqual([]);
    expect(attentionOf(undefined)).toEqual([]);
  });

  it('is told with what is worst first, and where to act', () => {
    const now: Now = {
      ...CALM,
      health: { status: 'down', reasons: ['database: away'] },
      sources: [
        { source: 'far', cap: 10_000, problem: 'away' },
        {
          source: 'order',
          cap: 10_000,
          outbox: { ...OUTBOX, needPerson: 2, oldestOverdueMs: 60_000 },
          inbox: { ...INBOX, dead: 3, rejected: 4, oldestOverdueMs: 61_000 },
        },
      ],
    };
    const found = attentionOf(now, [
      { ...QUEUE, consumers: 0 },
      { ...QUEUE, name: 'gone', problem: 'no such queue' },
    ]);
    expect(found.map(({ kind, href }) => [kind, href])).toEqual([
      ['health', '#/consumers'],
      ['sourceProblem', '#/events?source=far'],
      ['nobody', '#/consumers'],
      ['queueProblem', '#/consumers'],
      ['needPerson', '#/events?needPerson=true&source=order&status=dead'],
      ['inboxDead', '#/failures?side=handlings&source=order'],
      ['inboxRejected', '#/failures?side=handlings&source=order'],
      ['overdue', '#/events?overdue=true&source=order'],
      ['inboxOverdue', '#/handlings?source=order&status=failed'],
    ]);
  });

  it('is not what the compensation task repairs by itself within seconds', () => {
    const outbox = { ...OUTBOX, oldestOverdueMs: 12_000 };
    expect(attentionOf({ ...CALM, sources: [{ source: 'order', cap: 1, outbox }] })).toEqual([]);
  });

  it('a paused queue is told as paused, not as one that nobody consumes', () => {
    const paused = { since: CALM.at, by: 'ada', why: null };
    expect(attentionOf(CALM, [{ ...QUEUE, consumers: 0, paused }]).map(({ kind }) => kind)).toEqual(['paused']);
  });
});
