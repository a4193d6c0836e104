import { describeError, type InvalidProperty } from '../event/errors';
import { storableText } from '../event/storable';
import { type ValidatedPayload, validatePayload } from '../event/validate-payload';
import { AttemptWatchdog, Stopped } from './attempt-watchdog';
import type { Handler } from './handler';
import {
  MAX_REASON_LENGTH,
  type OpenedMessage,
  type PostponedMessage,
  type ReadMessage,
  TOO_DEEP,
  type UnreadableMessage,
} from './message-reader';

export type Reading = { readonly kind: 'event'; readonly message: ReadMessage } | UnreadableMessage | PostponedMessage;

type CheckedPayload = { readonly instance: object } | { readonly problem: string };

/**
 * Make a message's payload an instance of its event class. Conversions and rules are the application's code: what they wait for
 * takes no longer than an attempt may, and they may kill the process.
 * @param stop aborted when the process can't wait any longer
 * @returns undefined when the process is stopping
 */
export async function checkPayload(opened: OpenedMessage, stop: AbortSignal): Promise<Reading | undefined> {
  const { eventId, handler, stored, headers, producer, receiptAddress } = opened;
  const envelope = { stored, receiptAddress };
  const payload = validate(handler, opened.payload);
  const checked = 'then' in payload ? await checkedInTime(payload, handler.timeoutMs, stop) : payload;
  if (checked === undefined) return undefined;
  if ('problem' in checked) {
    const reason = storableText(checked.problem, MAX_REASON_LENGTH);
    return { kind: 'unreadable', reason, envelope, parkingId: opened.parkingId() };
  }
  if ('failure' in checked) return { kind: 'postponed', reason: checked.failure, envelope, eventId, handler };
  const message = { eventId, handler, event: checked.instance, stored, headers, producer, receiptAddress };
  return { kind: 'event', message };
}

function validate(handler: Handler, value: unknown): CheckedPayload | Promise<ValidatedPayload<object>> {
  try {
    const result = validatePayload(handler.eventType.eventClass, value);
    return 'then' in result ? result : checkedPayload(result);
  } catch (error) {
    return unreadablePayload(error);
  }
}

/** @returns undefined when the process is stopping */
async function checkedInTime(
  validation: Promise<ValidatedPayload<object>>,
  timeoutMs: number,
  stop: AbortSignal,
): Promise<CheckedPayload | { readonly failure: string } | undefined> {
  // It may also fail when nobody waits for it any more.
  validation.catch(() => undefined);
  const watchdog = new AttemptWatchdog(stop);
  try {
    watchdog.enter(timeoutMs, () => new Error(`it did not end within ${timeoutMs} ms`));
    return checkedPayload(await Promise.race([validation, watchdog.expired]));
  } catch (error) {
    return error instanceof Stopped
      ? undefined
      : { failure: `the validation of its payload failed: ${describeError(error, 300)}` };
  } finally {
    watchdog.dispose();
  }
}

function checkedPayload(result: ValidatedPayload<object>): CheckedPayload {
  return 'invalid' in result ? { problem: `its payload is invalid: ${listProblems(result.invalid)}` } : result;
}

function unreadablePayload(error: unknown): CheckedPayload {
  return {
    problem: error instanceof RangeError ? TOO_DEEP : `its payload can't be read: ${describeError(error, 300)}`,
  };
}

function listProblems(invalid: readonly InvalidProperty[]): string {
  return invalid.map(({ property, problems }) => `${property}: ${problems.join(', ')}`).join('; ');
}
