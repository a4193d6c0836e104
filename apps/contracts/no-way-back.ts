import type { ReliableEventHandlerOptions } from 'nestjs-reliable-mq';

/**
 * For handlers of events that nothing can compensate (answers, and the compensation itself): with the default delays, which end
 * at ten minutes, they are tried for most of a day before a person has to redrive them.
 */
export const NO_WAY_BACK: ReliableEventHandlerOptions = { maxAttempts: 100 };
