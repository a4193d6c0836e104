import { Logger } from '@nestjs/common';
import { logLine } from './log-line';

/** Ids, counts and reasons that belong to a line. What is `undefined` is left out; an error is told with its causes. */
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
 * as a line of its own, its JSON form takes it for a context, and nestjs-pino and nest-winston drop it. Never throws: what a logger
 * does must not stop an event on its way.
 */
export function createLog(): Log {
  const logger = new Logger('ReliableMq');
  const writer =
    (level: keyof Log) =>
    (text: string, details?: LogDetails): void => {
      try {
        logger[level](logLine(text, details));
      } catch {
        // There is nowhere left to say it.
      }
    };
  return { debug: writer('debug'), log: writer('log'), warn: writer('warn'), error: writer('error') };
}
