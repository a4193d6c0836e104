import { Client, type QueryResult } from 'pg';
import type { Kind, Timed, TimedStatements } from './timed-statements';

/** One statement each. */
export async function timePostgres(
  databaseUrl: string,
  done: (kind: Kind, timed: Timed) => void,
): Promise<TimedStatements> {
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  timeStatements(done);
  return {
    makeDue: async (count) => {
      await database.query(
        `UPDATE reliable_mq_outbox SET status = 'pending', due_at = now(), attempts = 0, published_at = NULL
         WHERE id IN (SELECT id FROM reliable_mq_outbox ORDER BY id DESC LIMIT ${count})`,
      );
    },
    explain: (statement) => explain(database, statement),
    close: () => database.end(),
  };
}

function timeStatements(done: (kind: Kind, timed: Timed) => void): void {
  const { query } = Client.prototype as unknown as { query: (this: Client, ...args: unknown[]) => unknown };
  Object.assign(Client.prototype, {
    query(this: Client, ...args: unknown[]): unknown {
      const [text, values] = args as [string, unknown[]];
      const kind = typeof text === 'string' ? kindOf(text) : undefined;
      const from = performance.now();
      const result = query.apply(this, args);
      if (kind)
        void (result as Promise<QueryResult>).then(
          ({ rowCount }) => {
            const rows = kind === 'claim' ? (rowCount ?? 0) : (values[0] as unknown[]).length;
            if (rows > 0 && (kind === 'settle' || values[0] === 'pending'))
              done(kind, { ms: performance.now() - from, rows, text, values });
          },
          () => undefined,
        );
      return result;
    },
  });
}

function kindOf(text: string): Kind | undefined {
  if (!text.includes('reliable_mq_outbox')) return undefined;
  if (text.startsWith('WITH found AS')) return 'claim';
  return text.startsWith('WITH outcome AS') ? 'settle' : undefined;
}

/** @returns the scans of its plan */
async function explain(database: Client, statement: Timed | undefined): Promise<readonly string[]> {
  if (!statement) return [];
  const { rows } = await database.query<Record<string, string>>(`EXPLAIN ${statement.text}`, statement.values);
  return rows
    .map((row) => Object.values(row)[0] ?? '')
    .filter((line) => /Scan/.test(line) && line.includes('reliable_mq'))
    .map((line) => line.replace(/^[\s->]+/, '').replace(/\s+\(cost.*/, ''));
}
