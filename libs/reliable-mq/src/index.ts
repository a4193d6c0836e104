export { ReliableMqModule } from './module/reliable-mq.module';
export { RELIABLE_MQ_OPTIONS } from './module/module-definition';
export { ReliableEvent } from './event/reliable-event.decorator';
export { TransactionalEvent } from './record/transactional-event.decorator';
export { EventRecorder } from './record/event-recorder';
export { ReliableEventHandler } from './consume/reliable-event-handler.decorator';
export { BatchContext, EventContext } from './consume/event-context';
export { RELIABLE_MQ_CONTEXT } from './consume/handler-invoker';
export { EventFailure } from './event/outcome';
export { Compensate } from './compensate/compensate.decorator';
export { EventOperations } from './operate/event-operations';
export { Operations } from './operate/operations';
export { ReliableMqHooks } from './operate/reliable-mq-hooks';
export { CompensationTask } from './repair/compensation-task';
export { ReliableMqHealth } from './operate/reliable-mq-health';
export { MemoryBroker } from './broker/memory/memory-broker';
export { OutboxEvent } from './outbox/outbox.entity';
export { InboxEntry } from './inbox/inbox.entity';
export { ReliableMqMigration1, ReliableMqMigration2, ReliableMqMigration3 } from './database/typeorm-migrations';
export { schemaScript } from './database/databases';
export {
  EventNotDeadError,
  EventNotFoundError,
  HandlerTimeoutError,
  ImplicitCommitError,
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
  TransactionBusyError,
  TransactionEndedError,
  UnsupportedDatabaseError,
} from './event/errors';

export type { RabbitMqOptions, RabbitMqTls, ReliableMqOptions } from './options/options';
export type { RabbitMqCredentials } from './broker/rabbitmq/resolved-rabbitmq-options';
export type { SharedAmqpConnection } from './broker/rabbitmq/shared-connection';
export type { ReliableMqModuleExtras } from './module/module-definition';
export type { ReliableEventOptions } from './event/reliable-event.decorator';
export type { EventMapper, MappedPayloads, TransactionalEventOptions } from './record/transactional-event.decorator';
export type { EventHeaders } from './event/message-headers';
export type { EventInstance, RecordContext, TransactionChoice, TransactionOptions } from './record/event-recorder';
export type {
  BatchHandlerOptions,
  BatchOptions,
  ReliableEventHandlerOptions,
} from './consume/reliable-event-handler.decorator';
export type { BatchMessage } from './consume/event-context';
export type { ReliableMqContextType } from './consume/handler-invoker';
export type { ReportedOutcome, ConsumerOutcome, AttemptRecord } from './event/outcome';
export type { Backoff } from './wait/backoff';
export type { EventClass } from './event/event-type';
export type { EventRef, HandlingRef, Hooks, JobName } from './event/hooks';
export type { Around, Compensation, HandledMessage, Handling, HandlingEnd, Recording } from './event/around';
export type { InvalidProperty, ReliableMqErrorCode } from './event/errors';
export type { ChangeOptions, OperationScope, RedriveOptions } from './operate/event-operations';
export type { BulkResult, Pace } from './operate/bulk';
export type {
  BackfillResult,
  BulkOptions,
  EventSelection,
  HandlingSelection,
  HistorySelection,
  OperationNote,
} from './operate/operations';
export type { FailureGroup, FailureGroups } from './operate/failure-groups';
export type { AuditRecord, OperationName, PausedQueue, QueueName } from './database/audit';
export type { DeadFilter, FailedFilter } from './database/failures';
export type { SchemaScriptOptions } from './database/databases';
export type {
  EventFilter,
  EventRecord,
  HandlingRecord,
  InboxFilter,
  InboxRecord,
  ReliableMqStatistics,
} from './database/operations.store';
export type { Journey, JourneyEvent, JourneyHandling } from './operate/journey';
export type { JobRun } from './repair/job';
export type { HealthReport } from './operate/reliable-mq-health';
export type { OutboxStatus, StoredOutcome } from './outbox/outbox.entity';
export type { InboxStatus } from './inbox/inbox.entity';
