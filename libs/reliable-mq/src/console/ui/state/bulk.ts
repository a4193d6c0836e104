import type { OperationRequest, EventSummary, Handling } from '../../api';
import type { Params } from './route';

type Operation = OperationRequest['operation'];

/** What an operation is asked to do: rows that were chosen, or all that match. */
export type Target = Pick<OperationRequest, 'source' | 'ids' | 'keys' | 'filter'>;

export interface Bulk {
  readonly operations: readonly Operation[];
  readonly filter: Readonly<Record<string, string | boolean>>;
  /** Filters of the list that an operation on all that match cannot hold: with one of them, it would change more than is shown. */
  readonly refused: readonly string[];
}

const ON_DEAD: readonly Operation[] = ['redrive', 'archive', 'discard'];
const OF_EVENTS = ['type', 'key', 'causationId', 'needPerson', 'archived', 'fingerprint'];
const OF_HANDLINGS = ['status', 'consumer', 'type', 'key', 'fingerprint'];
/** They say which page is shown, and from which database. */
const PLACE = ['source', 'before', 'limit'];

/** For a list of events: an operation changes dead ones only, whatever else the list shows. */
export function bulkOfEvents(params: Params): Bulk {
  const { status, ...rest } = params;
  const onlyDead = status === 'dead' || rest.needPerson === 'true' || rest.fingerprint !== undefined;
  const bulk = bulkOf(rest, OF_EVENTS);
  const isOther = status !== undefined && status !== 'dead';
  return { ...bulk, operations: onlyDead && !isOther && bulk.refused.length === 0 ? ON_DEAD : [] };
}

/** For a list of handlings: those that have not been handled can be retried. */
export function bulkOfHandlings(params: Params): Bulk {
  const bulk = bulkOf(params, OF_HANDLINGS);
  const hasFailed = params.status === undefined ? params.fingerprint !== undefined : canRetry(params.status);
  return { ...bulk, operations: hasFailed && bulk.refused.length === 0 ? ['retry'] : [] };
}

function bulkOf(params: Params, known: readonly string[]): Omit<Bulk, 'operations'> {
  const entries = Object.entries(params).filter(([name]) => !PLACE.includes(name));
  return {
    filter: Object.fromEntries(
      entries
        .filter(([name]) => known.includes(name))
        .map(([name, value]) => [name, value === 'true' && FLAGS.includes(name) ? true : value]),
    ),
    refused: entries.map(([name]) => name).filter((name) => !known.includes(name)),
  };
}

const FLAGS = ['needPerson', 'archived'];

export function operationsOnEvent({ status, archivedAt }: EventSummary): readonly Operation[] {
  if (status !== 'dead') return [];
  return archivedAt === null ? ON_DEAD : ON_DEAD.filter((operation) => operation !== 'archive');
}

export function operationsOnHandling({ status }: Handling): readonly Operation[] {
  return canRetry(status) ? ['retry'] : [];
}

function canRetry(status: string): boolean {
  return status === 'failed' || status === 'rejected' || status === 'dead';
}
