import { Client } from 'pg';

/** How often each statement was sent, by its beginning: one call of pg's `query` is one round trip. */
export type StatementCounts = Readonly<Record<string, number>>;

const counts: Record<string, number> = {};
const LENGTH = 60;

export function countedStatements(): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Loaded before an application (`node -r`): counts what it asks its databases, and tells the parent when asked. */
const { query } = Client.prototype as unknown as { query: (this: Client, ...args: unknown[]) => unknown };
Object.assign(Client.prototype, {
  query(this: Client, ...args: unknown[]): unknown {
    const [first] = args;
    const text = typeof first === 'string' ? first : ((first as { text?: string } | undefined)?.text ?? '');
    const key = text
      .split(';\n')
      .map((statement) => statement.replace(/\s+/g, ' ').trim().slice(0, LENGTH))
      .join('; ');
    counts[key] = (counts[key] ?? 0) + 1;
    return query.apply(this, args);
  },
});

process.on('message', (message) => {
  if (message !== 'count') return;
  const { user, system } = process.cpuUsage();
  process.send?.({ counts, cpuMs: (user + system) / 1_000, rssMb: process.memoryUsage.rss() / 2 ** 20 });
});
// Without its parent nobody would end it.
process.on('disconnect', () => process.exit(1));
