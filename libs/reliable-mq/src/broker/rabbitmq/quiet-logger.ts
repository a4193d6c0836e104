import type { LoggerService } from '@nestjs/common';
import { maskUri } from '../../log/mask-uri';

/**
 * What the connection library logs, at debug and with passwords masked: each change of state is logged here once already, with
 * its reason, and the library would add a line per attempt.
 */
export function quietLogger(logger: LoggerService): LoggerService {
  const debug = (message: unknown): void => {
    logger.debug?.(maskUri(String(message)));
  };
  return { log: debug, error: debug, warn: debug, debug, verbose: debug };
}
