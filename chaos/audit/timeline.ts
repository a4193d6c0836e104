import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { APPS } from '../instance';
import type { Landscape } from '../landscape';
import type { Violation } from './audit';

const MAX_LINES = 200;

/** Everything that is known of the violation's events: their rows on both sides, and what every instance logged and traced. */
export async function timelineOf(landscape: Landscape, { orderId, eventId }: Violation): Promise<string[]> {
  if (orderId === undefined && eventId === undefined) return [];
  const { sql } = landscape.database;
  const lines: string[] = [];
  const ids = new Set<string>([orderId, eventId].filter((id) => id !== undefined));
  for (const app of APPS) {
    const events = await landscape.query<{ id: string }>(
      app,
      `SELECT * FROM reliable_mq_outbox WHERE ${sql.isId('id', '$1')} OR ${sql.field('orderId')} = $2 ORDER BY id`,
      [eventId ?? '', orderId ?? ''],
    );
    for (const event of events) {
      ids.add(event.id);
      lines.push(`${app} outbox  ${JSON.stringify(event)}`);
    }
  }
  for (const app of APPS) {
    const handlings = await landscape.query(
      app,
      `SELECT event_id, consumer, type, status, attempts, unfinished_starts, due_at, claim_token, reason, history, properties, received_at, ended_at
       FROM reliable_mq_inbox WHERE event_id IN (${[...ids].map((_, index) => `$${index + 1}`).join(', ')})`,
      [...ids],
    );
    for (const handling of handlings) lines.push(`${app} inbox   ${JSON.stringify(handling)}`);
  }
  if (orderId !== undefined) {
    for (const row of await landscape.query('order', 'SELECT * FROM orders WHERE id = $1', [orderId]))
      lines.push(`order          ${JSON.stringify(row)}`);
    for (const row of await landscape.query('inventory', 'SELECT * FROM deductions WHERE order_id = $1', [orderId]))
      lines.push(`deduction      ${JSON.stringify(row)}`);
  }
  return [...lines, ...(await linesAbout([...ids], landscape))];
}

/** Traces have the machine's monotonic clock first, so they sort; logs come after them. */
async function linesAbout(ids: readonly string[], landscape: Landscape): Promise<string[]> {
  const traced: { readonly ms: number; readonly text: string }[] = [];
  const logged: string[] = [];
  for (const { name, traceFile, logFile } of landscape.instances) {
    for await (const line of linesOf(traceFile)) {
      if (!ids.some((id) => line.includes(id))) continue;
      const ms = Number(/^\[(\d+)/.exec(line)?.[1] ?? 0);
      traced.push({ ms, text: `${name.padEnd(12)} ${line}` });
    }
    for await (const line of linesOf(logFile))
      if (ids.some((id) => line.includes(id))) logged.push(`${name.padEnd(12)} ${line}`);
  }
  traced.sort((a, b) => a.ms - b.ms);
  return [...traced.map(({ text }) => text).slice(0, MAX_LINES), ...logged.slice(0, MAX_LINES)];
}

export async function* linesOf(file: string): AsyncGenerator<string> {
  if (!existsSync(file)) return;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) yield line;
}
