import { inspect } from 'node:util';
import { ConsoleLogger, type LogLevel } from '@nestjs/common';

/** A message with its ids and counts, as the library and these services log them: `logger.warn('…', { orderId })`. */
interface DetailedMessage {
  readonly message: string;
  readonly details: object;
}

/** Nest's logger prints a message and its details as two records, of which the second is nobody's. Here they are one. */
export class ServiceLogger extends ConsoleLogger {
  protected override printMessages(messages: unknown[], context?: string, ...rest: Rest): void {
    const [message, details] = messages;
    const detailed =
      messages.length === 2 && typeof message === 'string' && typeof details === 'object' && details !== null;
    if (!detailed) super.printMessages(messages, context, ...rest);
    else if (this.options.json) super.printMessages([{ message, details }], context, ...rest);
    else
      super.printMessages(
        [`${message} ${inspect(details, { breakLength: Infinity, compact: true })}`],
        context,
        ...rest,
      );
  }

  protected override getJsonLogObject(
    message: unknown,
    options: JsonOptions,
  ): ReturnType<ConsoleLogger['getJsonLogObject']> {
    const record = super.getJsonLogObject(message, options);
    return {
      ...record,
      timestamp: new Date().toISOString(),
      ...(isDetailed(message) && message),
    } as unknown as typeof record;
  }
}

type Rest = [logLevel?: LogLevel, writeStreamType?: 'stdout' | 'stderr', errorStack?: unknown];
type JsonOptions = Parameters<ConsoleLogger['getJsonLogObject']>[1];

function isDetailed(message: unknown): message is DetailedMessage {
  return typeof message === 'object' && message !== null && 'message' in message && 'details' in message;
}
