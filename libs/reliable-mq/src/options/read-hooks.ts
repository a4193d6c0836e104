import type { Around } from '../event/around';
import type { Hooks } from '../event/hooks';
import { isPlain, OptionReader, show } from '../input/option-reader';

const HOOK_NAMES: Readonly<Record<keyof Hooks, true>> = {
  recorded: true,
  committed: true,
  publishing: true,
  sent: true,
  confirmed: true,
  settling: true,
  settled: true,
  settleLost: true,
  deferred: true,
  received: true,
  handling: true,
  handlerReturned: true,
  handled: true,
  handlingFailed: true,
  duplicate: true,
  parked: true,
  deadLettered: true,
  acknowledged: true,
  receiptsSending: true,
  receiptsSent: true,
  receiptsReceived: true,
  receiptsApplied: true,
  consumed: true,
  lateOutcome: true,
  dead: true,
  compensating: true,
  compensationReturned: true,
  compensated: true,
  compensationFailed: true,
  jobStarted: true,
  jobBatch: true,
  jobFinished: true,
  transportChanged: true,
};

const AROUND_NAMES: Readonly<Record<keyof Around, true>> = { record: true, handle: true, compensate: true };

/**
 * The hooks that somebody listens with, bound to what was given: an instance of a class works too, with whatever fields it has.
 * @param path of the option, for messages
 */
export function readHooks(given: unknown, path: string, problems: string[]): Partial<Hooks> {
  return readFunctions(HOOK_NAMES, given, path, problems);
}

/** What somebody puts around the work of an event's way; otherwise as `readHooks`. */
export function readAround(given: unknown, path: string, problems: string[]): Partial<Around> {
  return readFunctions(AROUND_NAMES, given, path, problems);
}

function readFunctions(
  names: Readonly<Record<string, true>>,
  given: unknown,
  path: string,
  problems: string[],
): Record<string, unknown> {
  const group = new OptionReader(given, path, problems);
  const functions: Record<string, unknown> = {};
  for (const name of Object.keys(names)) {
    const value = group.raw(name);
    if (value === undefined) continue;
    if (typeof value === 'function') functions[name] = value.bind(given) as unknown;
    else problems.push(`${path}.${name} must be a function, got ${show(value)}.`);
  }
  if (isPlain(given)) group.refuseUnknown();
  return functions;
}
