import { show } from '../input/option-reader';
import { problemsOfNote, problemsOfSelection, unknownName } from '../operate/operation-input';
import type { EventSelection, HandlingSelection } from '../operate/operations';
import type { EditRequest, OperationRequest, QueueRequest } from './api';
import { invalid, refuse } from './console-problem';

const OPERATIONS: Readonly<Record<OperationRequest['operation'], true>> = {
  redrive: true,
  archive: true,
  discard: true,
  retry: true,
};
const OPERATION_REQUEST: Readonly<Record<keyof OperationRequest, true>> = {
  operation: true,
  source: true,
  ids: true,
  keys: true,
  filter: true,
  dryRun: true,
  perSecond: true,
  why: true,
  evenIfCompensated: true,
};
const QUEUE_REQUEST: Readonly<Record<keyof QueueRequest, true>> = {
  source: true,
  consumer: true,
  type: true,
  why: true,
};
const EDIT_REQUEST: Readonly<Record<keyof EditRequest, true>> = {
  source: true,
  payload: true,
  why: true,
  evenIfCompensated: true,
};
/** Ids or keys of one request. */
const MAX_ITEMS = 10_000;

/** What is to be done, checked. */
export interface ReadOperation {
  readonly operation: OperationRequest['operation'];
  readonly source: string;
  readonly selection: EventSelection & HandlingSelection;
  readonly options: Pick<OperationRequest, 'dryRun' | 'perSecond' | 'why' | 'evenIfCompensated'>;
}

/** @throws ConsoleError with everything that is wrong */
export function readOperation(body: unknown, by: string): ReadOperation {
  const request = readBody<OperationRequest>(body, OPERATION_REQUEST);
  const { operation, ids, keys, filter, dryRun, perSecond, why, evenIfCompensated } = request;
  if (!isOperation(operation)) throw invalid(unknownName('operation', operation, Object.keys(OPERATIONS)));
  const given = Object.entries({ ids, keys, filter }).filter(([, value]) => value !== undefined);
  const [[name, value] = ['', undefined], ...more] = given;
  if (name === '' || more.length > 0) throw invalid('Say exactly one of ids, keys and filter.');
  const side = operation === 'retry' ? 'handlings' : 'events';
  if (name === (side === 'events' ? 'keys' : 'ids'))
    throw invalid(`${operation} takes ${side === 'events' ? 'ids' : 'keys'} or a filter, and no ${name}.`);
  if (Array.isArray(value) && value.length > MAX_ITEMS)
    throw invalid(`${name} are more than ${MAX_ITEMS}: use a filter, or several requests.`);
  if (name === 'filter' && !isObject(value)) throw invalid(`filter must be an object, not ${show(value)}.`);
  // A filter never reads as ids, whatever names it has.
  const selection = name === 'filter' ? withoutLists(value as object) : { [name]: value };
  const options = { dryRun, perSecond, why, evenIfCompensated };
  refuse([
    ...problemsOfSource(request.source),
    ...problemsOfSelection(selection, side),
    ...problemsOfNote({ by, ...options }),
  ]);
  return { operation, source: request.source as string, selection: selection as never, options: options as never };
}

/** @throws ConsoleError */
export function readQueue(body: unknown): QueueRequest {
  const request = readBody<QueueRequest>(body, QUEUE_REQUEST);
  refuse(problemsOfSource(request.source));
  return request as QueueRequest;
}

/** @throws ConsoleError */
export function readEdit(body: unknown): EditRequest {
  const request = readBody<EditRequest>(body, EDIT_REQUEST);
  const problems = [...problemsOfSource(request.source)];
  if (!('payload' in request)) problems.push('payload is missing.');
  if (typeof request.why !== 'string' || request.why.trim() === '') problems.push('why must say why, as a text.');
  refuse(problems);
  return request as EditRequest;
}

function readBody<Request>(
  body: unknown,
  names: Readonly<Record<keyof Request, true>>,
): Partial<Record<keyof Request, unknown>> {
  if (!isObject(body)) {
    throw invalid(
      'The body must be a JSON object, with the header Content-Type: application/json, and the application must read such bodies.',
    );
  }
  const known = Object.keys(names);
  refuse(Object.keys(body).flatMap((name) => (known.includes(name) ? [] : [unknownName('property', name, known)])));
  return body as Partial<Record<keyof Request, unknown>>;
}

function problemsOfSource(source: unknown): readonly string[] {
  return typeof source === 'string' && source !== '' ? [] : ['source must say which of the session’s sources.'];
}

function isOperation(name: unknown): name is OperationRequest['operation'] {
  return typeof name === 'string' && Object.hasOwn(OPERATIONS, name);
}

function withoutLists(filter: object): object {
  const { ids, keys, ...rest } = filter as Readonly<Record<string, unknown>>;
  if (ids !== undefined || keys !== undefined) throw invalid('ids and keys stand beside the filter, and not in it.');
  return rest;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
