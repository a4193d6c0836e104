import { describeError, ReliableMqError, type ReliableMqErrorCode } from '../event/errors';
import type { Problem } from './api';

/** What the console refuses, and how it answers. */
export class ConsoleError extends Error {
  override readonly name = 'ConsoleError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** What was asked for cannot be meant. */
export function invalid(...problems: readonly string[]): ConsoleError {
  return new ConsoleError(400, 'INVALID_OPTIONS', problems.join(' '));
}

/** @throws ConsoleError when there are problems */
export function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw invalid(...problems);
}

/** A database, or the broker, could not be asked. */
export function unavailable(message: string): ConsoleError {
  return new ConsoleError(503, 'UNAVAILABLE', message);
}

const STATUSES: Readonly<Partial<Record<ReliableMqErrorCode, number>>> = {
  INVALID_OPTIONS: 400,
  INVALID_EVENT: 400,
  NOT_AN_EVENT: 400,
  PAYLOAD_TOO_LARGE: 413,
  EVENT_NOT_FOUND: 404,
  EVENT_NOT_DEAD: 409,
};
const MAX_MESSAGE_LENGTH = 2000;

export interface Refusal {
  readonly status: number;
  readonly problem: Problem;
}

/** @returns undefined for what nobody has thrown on purpose */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof ConsoleError) {
    const { status, code } = error;
    return { status, problem: { code, message: describeOf(error.message) } };
  }
  if (!(error instanceof ReliableMqError)) return undefined;
  const status = STATUSES[error.code] ?? 500;
  const { problems } = error.details;
  // What the caller did wrong, without the name of the method that was called for it.
  const text = error.code === 'INVALID_OPTIONS' && Array.isArray(problems) ? problems.join(' ') : error.message;
  return { status, problem: { code: error.code, message: describeOf(text) } };
}

/** The refusal of what went wrong by itself. */
export function failure(error: unknown): Refusal {
  return { status: 500, problem: { code: 'FAILED', message: describeError(error, MAX_MESSAGE_LENGTH) } };
}

function describeOf(text: string): string {
  return text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH - 1)}…` : text;
}
