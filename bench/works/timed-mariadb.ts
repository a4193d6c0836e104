import { createRequire } from 'node:module';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Kind, Timed, TimedStatements } from './timed-statements';

interface Statement {
  readonly sql?: unknown;
  readonly values?: unknown[];
}
type Query = (this: object, statement: Statement, done?: unknown) => unknown;

/** A transaction each, from its first statement to its COMMIT. */
export async function timeMariadb(
  databaseUrl: string,
  done: (kind: Kind, timed: Timed) => void,
): Promise<TimedStatements> {
  const database = await createConnection({ uri: databaseUrl });
  timeTransactions(done);
  return {
    makeDue: async (count) => {
      await database.query(
        `UPDATE reliable_mq_outbox AS o JOIN (SELECT id FROM reliable_mq_outbox ORDER BY id DESC LIMIT ${count}) AS last ON last.id = o.id
         SET o.status = 'pending', o.due_at = UTC_TIMESTAMP(6), o.attempts = 0, o.published_at = NULL`,
      );
    },
    explain: async (statement) => {
      if (!statement) return [];
      const [rows] = await database.query<RowDataPacket[]>(`EXPLAIN ${statement.text}`, statement.values);
      return rows
        .filter(({ table }) => /^(reliable_mq_outbox|o)$/.test(String(table)))
        .map(({ type, key, rows: read }) =>
          key === null ? `Scan of ${read} rows` : `Index ${type} on ${key}, about ${read} rows`,
        );
    },
    close: () => database.end(),
  };
}

interface Transaction {
  readonly from: number;
  found?: Omit<Timed, 'ms'> & { readonly kind: Kind };
}

/** What the library gives to `mysql2`: a statement with its values, and a function that takes the answer. */
function timeTransactions(done: (kind: Kind, timed: Timed) => void): void {
  const { prototype } = createRequire(require.resolve('mysql2'))('./lib/base/connection.js') as {
    prototype: { query: Query };
  };
  const { query } = prototype;
  const open = new WeakMap<object, Transaction>();
  prototype.query = function timed(statement, answered): unknown {
    const { sql, values = [] } = statement;
    if (typeof sql !== 'string' || typeof answered !== 'function') return query.call(this, statement, answered);
    if (sql.startsWith('SET TRANSACTION')) open.set(this, { from: performance.now() });
    const transaction = open.get(this);
    return query.call(this, statement, (error: unknown, result: unknown) => {
      const kind = transaction && kindOf(sql, values);
      if (kind && Array.isArray(result) && result.length > 0)
        transaction.found = { kind, rows: result.length, text: sql, values: [...values] };
      if (sql === 'COMMIT' && transaction) {
        open.delete(this);
        const { from, found } = transaction;
        if (found) done(found.kind, { ...found, ms: performance.now() - from });
      }
      (answered as (error: unknown, result: unknown) => void)(error, result);
    });
  };
}

/** By the statement that locks the rows: due ones are claimed, those of given ids are settled. */
function kindOf(sql: string, values: readonly unknown[]): Kind | undefined {
  if (!sql.includes('reliable_mq_outbox') || !/FOR UPDATE/.test(sql)) return undefined;
  if (/due_at <= /.test(sql)) return values[0] === 'pending' ? 'claim' : undefined;
  return /WHERE id IN \(\?\)/.test(sql) ? 'settle' : undefined;
}
