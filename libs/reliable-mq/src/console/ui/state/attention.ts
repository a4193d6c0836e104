import type { Now, Queue } from '../../api';
import { hrefOf } from './route';

/** What a person should look at, the worst first, and where. */
export interface Attention {
  readonly kind:
    | 'health'
    | 'sourceProblem'
    | 'nobody'
    | 'queueProblem'
    | 'needPerson'
    | 'inboxDead'
    | 'inboxRejected'
    | 'overdue'
    | 'inboxOverdue'
    | 'paused';
  readonly source?: string;
  readonly count?: number;
  readonly cap?: number;
  readonly ms?: number;
  /** A queue's name. */
  readonly queue?: string;
  /** In the service's words. */
  readonly said?: string;
  readonly href?: string;
}

/** What is repaired within a few rounds of the compensation task needs nobody. */
const OVERDUE_FROM_MS = 30_000;

export function attentionOf(now: Now | undefined, queues: readonly Queue[] = []): readonly Attention[] {
  return [...(now ? ofHealth(now) : []), ...queues.flatMap(ofQueue), ...(now ? ofSources(now) : [])];
}

function ofHealth({ health, sources }: Now): Attention[] {
  const told = health.status === 'up' ? [] : health.reasons;
  return [
    ...told.map((said): Attention => ({ kind: 'health', said, href: hrefOf('consumers') })),
    ...sources.flatMap(({ source, problem }): Attention[] =>
      problem === undefined
        ? []
        : [{ kind: 'sourceProblem', source, said: problem, href: hrefOf('events', { source }) }],
    ),
  ];
}

function ofQueue({ name, source, isOwn, consumers, problem, paused }: Queue): Attention[] {
  const place = { queue: name, ...(source !== undefined && { source }), href: hrefOf('consumers') };
  if (problem !== undefined) return [{ kind: 'queueProblem', said: problem, ...place }];
  if (paused) return [{ kind: 'paused', ...place }];
  return consumers === 0 && isOwn ? [{ kind: 'nobody', ...place }] : [];
}

function ofSources({ sources }: Now): Attention[] {
  return sources.flatMap(({ source, outbox, inbox, cap }) => {
    const found: Attention[] = [];
    const dead = hrefOf('failures', { source, side: 'handlings' });
    if (outbox && outbox.needPerson > 0) {
      const href = hrefOf('events', { source, status: 'dead', needPerson: 'true' });
      found.push({ kind: 'needPerson', source, count: outbox.needPerson, cap, href });
    }
    if (inbox && inbox.dead > 0) found.push({ kind: 'inboxDead', source, count: inbox.dead, cap, href: dead });
    if (inbox && inbox.rejected > 0) {
      found.push({ kind: 'inboxRejected', source, count: inbox.rejected, cap, href: dead });
    }
    if (outbox && outbox.oldestOverdueMs >= OVERDUE_FROM_MS) {
      const href = hrefOf('events', { source, overdue: 'true' });
      found.push({ kind: 'overdue', source, ms: outbox.oldestOverdueMs, href });
    }
    if (inbox && inbox.oldestOverdueMs >= OVERDUE_FROM_MS) {
      const href = hrefOf('handlings', { source, status: 'failed' });
      found.push({ kind: 'inboxOverdue', source, ms: inbox.oldestOverdueMs, href });
    }
    return found;
  });
}
