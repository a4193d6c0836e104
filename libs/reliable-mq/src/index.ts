export { ReliableMqModule } from './reliable-mq.module';
export { ReliableEvent } from './record/reliable-event.decorator';
export { TransactionalEvent } from './record/transactional-event.decorator';
export { EventRecorder } from './record/event-recorder';
export { ReliableEventHandler } from './consume/reliable-event-handler.decorator';
export { RELIABLE_MQ_CONTEXT } from './consume/handler-invoker';
export { Compensate } from './compensate/compensate.decorator';
export { EventOperations } from './operations/event-operations';
export { ReliableMqHealth } from './health/reliable-mq-health';
export { MemoryBroker } from './transport/memory/memory-broker';
export { OutboxEvent } from './outbox/outbox.entity';
export { InboxEntry } from './inbox/inbox.entity';
export { ReliableMqMigration1 } from './migrations/typeorm-migration';
export { schemaScript } from './migrations/postgres-migrations';
export {
  EventNotFoundError,
  HandlerTimeoutError,
  InvalidEventError,
  InvalidOptionsError,
  InvalidSetupError,
  NoTransactionError,
  NotAnEventError,
  PayloadTooLargeError,
  RejectEvent,
  ReliableMqError,
  SchemaMissingError,
  TransactionAbortedError,
  UnsupportedDatabaseError,
} from './domain/errors';

export type { ReliableMqOptions } from './options/options';
export type { ReliableMqModuleExtras } from './module-definition';
export type { ReliableEventOptions } from './record/reliable-event.decorator';
export type { EventMapper, MappedPayloads, TransactionalEventOptions } from './record/transactional-event.decorator';
export type { EventHeaders, RecordContext, TransactionChoice, TransactionOptions } from './record/event-recorder';
export type { ReliableEventHandlerOptions } from './consume/reliable-event-handler.decorator';
export type { EventContext } from './consume/event-context';
export type { ReliableMqContextType } from './consume/handler-invoker';
export type { EventFailure, ReportedOutcome, ConsumerOutcome, AttemptRecord } from './domain/outcome';
export type { Backoff } from './domain/backoff';
export type { EventClass } from './domain/event-type';
export type { EventRef, HandlingRef, Hooks, JobName } from './domain/hooks';
export type { InvalidProperty, ReliableMqErrorCode } from './domain/errors';
export type { OperationScope, RedriveOptions } from './operations/event-operations';
export type {
  EventFilter,
  EventRecord,
  InboxFilter,
  InboxRecord,
  ReliableMqStatistics,
} from './operations/operations.store';
export type { HealthReport } from './health/reliable-mq-health';
export type { OutboxStatus, StoredOutcome } from './outbox/outbox.entity';
export type { InboxStatus } from './inbox/inbox.entity';
