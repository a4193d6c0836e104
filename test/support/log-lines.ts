import type { LoggerService } from '@nestjs/common';

export interface LogLine {
  readonly level: 'debug' | 'log' | 'warn' | 'error';
  /** The constant text of the library's lines; all of what others say. */
  readonly text: string;
  /** The ids, counts and reasons of the library's lines. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Who says it: `ReliableMq`, `ExceptionsHandler`, … */
  readonly context: unknown;
}

/** What an application logs, line by line. */
export class LogLines implements LoggerService {
  readonly lines: LogLine[] = [];

  log = this.writer('log');
  error = this.writer('error');
  warn = this.writer('warn');
  debug = this.writer('debug');

  /** Those whose text begins so. */
  of(text: string): LogLine[] {
    return this.lines.filter((line) => line.text.startsWith(text));
  }

  private writer(level: LogLine['level']) {
    return (message: unknown, ...rest: unknown[]): void => {
      const [, text, json] = /^(.*?) (\{.*\})$/s.exec(String(message)) ?? [];
      const details = json === undefined ? {} : (JSON.parse(json) as LogLine['details']);
      this.lines.push({ level, text: text ?? String(message), details, context: rest.at(-1) });
    };
  }
}
