import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as api from 'nestjs-reliable-mq';
import * as console from 'nestjs-reliable-mq/console';
import * as openTelemetry from 'nestjs-reliable-mq/opentelemetry';
import * as terminus from 'nestjs-reliable-mq/terminus';

// What is in these lists is a promise to applications: nothing becomes public, or stops being so, by accident.

describe('the public API', () => {
  it('has these values', () => {
    expect(Object.keys(api).sort()).toEqual([
      'BatchContext',
      'Compensate',
      'CompensationTask',
      'EventContext',
      'EventFailure',
      'EventNotDeadError',
      'EventNotFoundError',
      'EventOperations',
      'EventRecorder',
      'HandlerTimeoutError',
      'ImplicitCommitError',
      'InboxEntry',
      'InvalidEventError',
      'InvalidOptionsError',
      'InvalidSetupError',
      'MemoryBroker',
      'NoTransactionError',
      'NotAnEventError',
      'Operations',
      'OutboxEvent',
      'PayloadTooLargeError',
      'RELIABLE_MQ_CONTEXT',
      'RELIABLE_MQ_OPTIONS',
      'RejectEvent',
      'ReliableEvent',
      'ReliableEventHandler',
      'ReliableMqError',
      'ReliableMqHealth',
      'ReliableMqHooks',
      'ReliableMqMigration1',
      'ReliableMqMigration2',
      'ReliableMqMigration3',
      'ReliableMqModule',
      'SchemaMissingError',
      'TransactionAbortedError',
      'TransactionBusyError',
      'TransactionEndedError',
      'TransactionalEvent',
      'UnsupportedDatabaseError',
      'schemaScript',
    ]);
  });

  it('has these values in its optional entries', () => {
    expect(Object.keys(console)).toEqual(['ReliableMqConsoleModule']);
    expect(Object.keys(openTelemetry)).toEqual(['ReliableMqOpenTelemetryModule']);
    expect(Object.keys(terminus)).toEqual(['ReliableMqHealthIndicator']);
  });

  it('has these types', () => {
    expect(exportedTypes()).toEqual([
      'Around',
      'AttemptRecord',
      'AuditRecord',
      'BackfillResult',
      'Backoff',
      'BatchHandlerOptions',
      'BatchMessage',
      'BatchOptions',
      'BulkOptions',
      'BulkResult',
      'ChangeOptions',
      'Compensation',
      'ConsumerOutcome',
      'DeadFilter',
      'EventClass',
      'EventFilter',
      'EventHeaders',
      'EventInstance',
      'EventMapper',
      'EventRecord',
      'EventRef',
      'EventSelection',
      'FailedFilter',
      'FailureGroup',
      'FailureGroups',
      'HandledMessage',
      'Handling',
      'HandlingEnd',
      'HandlingRecord',
      'HandlingRef',
      'HandlingSelection',
      'HealthReport',
      'HistorySelection',
      'Hooks',
      'InboxFilter',
      'InboxRecord',
      'InboxStatus',
      'InvalidProperty',
      'JobName',
      'JobRun',
      'Journey',
      'JourneyEvent',
      'JourneyHandling',
      'MappedPayloads',
      'OperationName',
      'OperationNote',
      'OperationScope',
      'OutboxStatus',
      'Pace',
      'PausedQueue',
      'QueueName',
      'RabbitMqCredentials',
      'RabbitMqOptions',
      'RabbitMqTls',
      'RecordContext',
      'Recording',
      'RedriveOptions',
      'ReliableEventHandlerOptions',
      'ReliableEventOptions',
      'ReliableMqContextType',
      'ReliableMqErrorCode',
      'ReliableMqModuleExtras',
      'ReliableMqOptions',
      'ReliableMqStatistics',
      'ReportedOutcome',
      'SchemaScriptOptions',
      'SharedAmqpConnection',
      'StoredOutcome',
      'TransactionChoice',
      'TransactionOptions',
      'TransactionalEventOptions',
    ]);
  });
});

/** Types leave no trace at run time: their names are read from the `export type { … }` of the barrel. */
function exportedTypes(): string[] {
  const barrel = readFileSync(join(__dirname, '../../libs/reliable-mq/src/index.ts'), 'utf8');
  const names = [...barrel.matchAll(/export type \{([^}]*)\}/g)].flatMap(([, list = '']) => list.split(','));
  return names
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .sort();
}
