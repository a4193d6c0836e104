import { Logger } from '@nestjs/common';

/** Ids, counts and reasons that belong to a line. What is `undefined` is left out. */
export type LogDetails = object;

/** What this library says: a constant text and an object of ids and counts, together in one record. */
export interface Log {
  debug(text: string, details?: LogDetails): void;
  log(text: string, details?: LogDetails): void;
  warn(text: string, details?: LogDetails): void;
  error(text: string, details?: LogDetails): void;
}

/**
 * Writes to the application's logger, one string per line: `text {"eventId":"…"}`. Not as a second argument: Nest's console prints that
 * as a line of its own, its JSON form takes it for a context, and nestjs-pino and nest-winston drop it.
 */
export function createLog(): Log {
  const logger = new Logger('ReliableMq');
  return {
    debug: (text, details) => logger.debug(line(text, details)),
    log: (text, details) => logger.log(line(text, details)),
    warn: (text, details) => logger.warn(line(text, details)),
    error: (text, details) => logger.error(line(text, details)),
  };
}

function line(text: string, details: LogDetails | undefined): string {
  return details ? `${text} ${JSON.stringify(details)}` : text;
}
