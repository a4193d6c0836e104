import type { LoggerService } from '@nestjs/common';

/** Tests provoke every warning there is. */
export const silentLogger: LoggerService = {
  log: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  debug: () => undefined,
};
