import { toDate, toUuid } from './values';

/** As `queryOn` returns it: texts, and bytes. */
type RawRow = Readonly<Record<string, string | Buffer | null>>;

const NUMBERS = new Set([
  'version',
  'attempts',
  'unfinished_starts',
  'redrives',
  'compensation_attempts',
  'overdue_ms',
  'due_in_ms',
  'count',
]);
const UUIDS = new Set(['id', 'run_id', 'claim_token', 'causation_id']);
const MOMENTS = new Set([
  'due_at',
  'created_at',
  'received_at',
  'published_at',
  'ended_at',
  'compensated_at',
  'archived_at',
  'at',
  'since',
]);
const JSONS = new Set([
  'payload',
  'headers',
  'consumers',
  'history',
  'outcomes',
  'properties',
  'filter',
  'items',
  'last_attempt',
]);

/** The row with each column as what it means: by the columns' names, which are the same in all statements. */
export function readRow(row: object): unknown {
  const columns = Object.entries(row as RawRow).map(([name, value]) => [
    name,
    value === null ? null : read(name, value),
  ]);
  return Object.fromEntries(columns);
}

function read(name: string, value: string | Buffer): unknown {
  if (typeof value !== 'string') return UUIDS.has(name) ? toUuid(value) : value;
  if (NUMBERS.has(name)) return Number(value);
  if (MOMENTS.has(name)) return toDate(value);
  return JSONS.has(name) ? JSON.parse(value) : value;
}
