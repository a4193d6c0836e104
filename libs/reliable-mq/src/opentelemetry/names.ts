import type { MetricOptions } from '@opentelemetry/api';

// Every name that leaves the process, in one place: the messaging conventions are still "in development", and change.
// They are those of the semantic conventions 1.45; what these have no name for begins with reliable_mq.

export const ATTRIBUTE = {
  system: 'messaging.system',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  /** The event type. */
  destination: 'messaging.destination.name',
  consumer: 'messaging.consumer.group.name',
  eventId: 'messaging.message.id',
  batchSize: 'messaging.batch.message_count',
  errorType: 'error.type',
  version: 'reliable_mq.event.version',
  attempt: 'reliable_mq.attempt',
  outcome: 'reliable_mq.outcome',
} as const;

/** All that a metric is divided by: each has as many values as the code has types, consumers and outcomes. */
export interface Labels {
  readonly type?: string;
  readonly consumer?: string;
  readonly outcome?: string;
}

export interface Metric extends Pick<MetricOptions, 'unit' | 'description'> {
  readonly name: string;
}

/** One value each time something happens. */
export const METRIC = {
  sendDuration: {
    name: 'messaging.client.operation.duration',
    unit: 's',
    description: 'From handing an event to the broker to its answer',
  },
  sent: {
    name: 'messaging.client.sent.messages',
    unit: '{message}',
    description: 'Attempts to publish an event, by what the broker answered',
  },
  consumed: {
    name: 'messaging.client.consumed.messages',
    unit: '{message}',
    description: 'Messages that the broker has delivered',
  },
  processDuration: {
    name: 'messaging.process.duration',
    unit: 's',
    description: "A handler's attempts, each with its transaction, by outcome",
  },
  publishLag: {
    name: 'reliable_mq.publish.lag',
    unit: 's',
    description: 'From the commit to the confirm of events that were published straight away',
  },
  dead: { name: 'reliable_mq.events.dead', unit: '{event}', description: 'Events that have ended dead' },
  compensations: {
    name: 'reliable_mq.compensations',
    unit: '{run}',
    description: 'Runs of compensation handlers, by outcome: compensated or failed',
  },
  parked: { name: 'reliable_mq.messages.parked', unit: '{message}', description: 'Messages that no handler can take' },
  lateOutcomes: {
    name: 'reliable_mq.late_outcomes',
    unit: '{outcome}',
    description: 'Final outcomes that came after the event had ended otherwise',
  },
  settlesLost: {
    name: 'reliable_mq.settles.lost',
    unit: '{event}',
    description: 'Outcomes that found another claim: a lease had run out',
  },
} as const satisfies Record<string, Metric>;

/** What is read whenever metrics are collected. Of several DataSources the counts are added up, and the oldest counts. */
export const GAUGE = {
  pending: {
    name: 'reliable_mq.outbox.pending',
    unit: '{event}',
    description: 'Events that are not published yet; at most 10,000 for each DataSource',
  },
  unconsumed: {
    name: 'reliable_mq.outbox.unconsumed',
    unit: '{event}',
    description: 'Published events that wait for receipts; at most 10,000 for each DataSource',
  },
  needPerson: {
    name: 'reliable_mq.outbox.need_person',
    unit: '{event}',
    description: 'Dead events that nobody has undone and nobody will: redrive or discard them',
  },
  outboxOldestDue: {
    name: 'reliable_mq.outbox.oldest_due',
    unit: 's',
    description: 'For how long the event that is due longest has been due',
  },
  inboxFailed: {
    name: 'reliable_mq.inbox.failed',
    unit: '{message}',
    description: 'Handlings that have failed and are tried again, or wait for their version',
  },
  inboxDead: {
    name: 'reliable_mq.inbox.dead',
    unit: '{message}',
    description: 'Handlings that were given up, until they are pruned',
  },
  inboxOldestDue: {
    name: 'reliable_mq.inbox.oldest_due',
    unit: 's',
    description: 'For how long the handling that is due longest has been due',
  },
  brokerAvailable: {
    name: 'reliable_mq.broker.available',
    description: '1 while the broker takes messages, otherwise 0',
  },
} as const satisfies Record<string, Metric>;

/** Upper bounds in seconds, as the conventions ask for. */
export const DURATION_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];
