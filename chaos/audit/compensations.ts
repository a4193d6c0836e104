import type { Violation } from './audit';

/**
 * Events whose compensation handler committed more than once, by what the instances traced. A process that died right after a
 * commit has not traced it: this may overlook one, and accuses nobody wrongly.
 */
export async function findRepeatedCompensations(traces: readonly AsyncIterable<string>[]): Promise<Violation[]> {
  const counts = new Map<string, number>();
  for (const lines of traces) {
    for await (const line of lines) {
      const eventId = /^\[\d+,"compensated",\{"eventId":"([^"]+)"/.exec(line)?.[1];
      if (eventId !== undefined) counts.set(eventId, (counts.get(eventId) ?? 0) + 1);
    }
  }
  return [...counts]
    .filter(([, count]) => count > 1)
    .map(([eventId, count]) => ({
      rule: 'event was compensated twice',
      message: `the compensation of ${eventId} committed ${count} times`,
      eventId,
    }));
}
