import { CronExpression } from '@nestjs/schedule';
import { validateCronExpression } from 'cron';
import { InvalidOptionsError } from '../event/errors';
import { CONSUMER_MAX_LENGTH, CONSUMER_PATTERN } from '../event/event-type';
import { readHooks } from './read-hooks';
import { MemoryBroker } from '../broker/memory/memory-broker';
import { isPlain, OptionReader, show } from '../input/option-reader';
import type { ReliableMqOptions } from './options';
import { readRabbitMq } from './read-rabbitmq';
import type { ResolvedOptions } from './resolved-options';
import { retryHorizonMs } from './retry-horizon';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIB = 1024 * 1024;

/**
 * The complete, validated options.
 * @throws InvalidOptionsError with every problem, when there is one
 */
export function resolveOptions(options: ReliableMqOptions): ResolvedOptions {
  const problems: string[] = [];
  const root = new OptionReader(options, '', problems);

  const service = root.text(
    'service',
    undefined,
    CONSUMER_PATTERN,
    CONSUMER_MAX_LENGTH,
    'a name of letters, digits, _ and -, in words joined by dots',
  );
  const transport = readTransport(root, problems);
  const rabbitmq = readRabbitMq(root, transport === 'rabbitmq', problems);
  const schema = root.choice('schema', 'migrate', ['migrate', 'verify']);

  const record = root.group('record');
  const maxPayloadBytes = record.integer('maxPayloadBytes', MIB, 1, 128 * MIB);
  const headers = readHeaders(record, problems);
  record.refuseUnknown();

  const publish = root.group('publish');
  const leaseMs = publish.integer('leaseMs', 30 * SECOND, 1 * SECOND, HOUR);
  // As with backoffs: a default gives way to what the user wrote.
  const confirmTimeoutMs = Math.min(10 * SECOND, Math.floor(leaseMs / 2));
  const bufferBytes = Math.max(32 * MIB, maxPayloadBytes);
  const resolvedPublish = {
    leaseMs,
    windowSize: publish.integer('windowSize', 1000, 1, 100_000),
    bufferSize: publish.integer('bufferSize', 10_000, 1, 10_000_000),
    bufferBytes: publish.integer('bufferBytes', bufferBytes, 1024, 16 * 1024 * MIB),
    confirmTimeoutMs: publish.integer('confirmTimeoutMs', confirmTimeoutMs, 100, HOUR),
    maxAttempts: publish.integer('maxAttempts', 25, 1, 10_000),
    backoff: publish.backoff('backoff', { initialMs: SECOND, maxMs: HOUR, jitter: 0.2 }),
  };
  publish.refuseUnknown();

  const receipts = root.group('receipts');
  const resolvedReceipts = {
    chaseAfterMs: receipts.integer('chaseAfterMs', MINUTE, 100, 7 * DAY),
    coalesceMs: receipts.integer('coalesceMs', 20, 0, MINUTE),
  };
  receipts.refuseUnknown();

  const retention = root.group('retention');
  const resolvedRetention = {
    outboxHours: retention.number('outboxHours', 72, 0, 24 * 3650),
    inboxHours: retention.number('inboxHours', 336, 0, 24 * 3650),
    pruneIntervalMs: retention.integer('pruneIntervalMs', MINUTE, 50, DAY),
    pruneBatchSize: retention.integer('pruneBatchSize', 1000, 1, 100_000),
  };
  retention.refuseUnknown();

  // As with backoffs: a default gives way to what the user wrote.
  const waitForHandlerHours = Math.min(168, resolvedRetention.inboxHours / 2);
  const consume = root.group('consume');
  const resolvedConsume = {
    prefetch: consume.integer('prefetch', 10, 1, 65_535),
    timeoutMs: consume.integer('timeoutMs', 30 * SECOND, 100, DAY),
    maxAttempts: consume.integer('maxAttempts', 10, 1, 10_000),
    backoff: consume.backoff('backoff', { initialMs: SECOND, maxMs: 10 * MINUTE, jitter: 0.2 }),
    maxUnfinishedStarts: consume.integer('maxUnfinishedStarts', 3, 3, 100),
    waitForHandlerHours: consume.number('waitForHandlerHours', waitForHandlerHours, 0, 24 * 30),
    maxMessageBytes: consume.integer('maxMessageBytes', 16 * MIB, 1024, 512 * MIB),
  };
  consume.refuseUnknown();

  const compensation = root.group('compensation');
  const resolvedCompensation = {
    enabled: compensation.boolean('enabled', true),
    ...readWhen(compensation, problems),
    batchSize: compensation.integer('batchSize', 500, 1, 10_000),
    timeoutMs: compensation.integer('timeoutMs', 30 * SECOND, 100, DAY),
    backoff: compensation.backoff('backoff', { initialMs: SECOND, maxMs: 10 * MINUTE, jitter: 0.2 }),
  };
  compensation.refuseUnknown();

  const shutdown = root.group('shutdown');
  const resolvedShutdown = { drainMs: shutdown.integer('drainMs', 10 * SECOND, 0, HOUR) };
  shutdown.refuseUnknown();

  const hooks = readAllHooks(root, problems);
  refuseExtras(root, problems);
  root.refuseUnknown();

  const resolved: ResolvedOptions = {
    service,
    rabbitmq,
    transport,
    schema,
    record: { maxPayloadBytes, headers },
    publish: resolvedPublish,
    receipts: resolvedReceipts,
    consume: resolvedConsume,
    compensation: resolvedCompensation,
    retention: resolvedRetention,
    shutdown: resolvedShutdown,
    hooks,
  };
  checkTogether(resolved, problems);
  if (problems.length > 0) throw new InvalidOptionsError(problems);
  return deepFreeze(resolved);
}

/** The rules that span several options: each protects a promise. */
function checkTogether(options: ResolvedOptions, problems: string[]): void {
  const { publish, consume, retention } = options;
  if (publish.confirmTimeoutMs * 2 > publish.leaseMs) {
    problems.push(
      `publish.confirmTimeoutMs (${publish.confirmTimeoutMs}) must be at most half of publish.leaseMs (${publish.leaseMs}), ` +
        'or an event that has waited a moment can no longer be confirmed before another instance may publish it too.',
    );
  }
  if (publish.bufferBytes < options.record.maxPayloadBytes) {
    problems.push(
      `publish.bufferBytes (${publish.bufferBytes}) must not be below record.maxPayloadBytes (${options.record.maxPayloadBytes}), ` +
        'or the largest events are never published from memory.',
    );
  }
  const horizonHours = retryHorizonMs(publish, options.receipts.chaseAfterMs, consume) / HOUR;
  if (retention.inboxHours <= horizonHours) {
    problems.push(
      `retention.inboxHours (${retention.inboxHours}) must be longer than an event can be retried ` +
        `(${horizonHours.toFixed(1)} hours with these publish and consume options), or a late duplicate would be handled again.`,
    );
  }
  if (consume.waitForHandlerHours > 0 && consume.waitForHandlerHours >= retention.inboxHours) {
    problems.push(
      `consume.waitForHandlerHours (${consume.waitForHandlerHours}) must be below retention.inboxHours (${retention.inboxHours}), ` +
        'or a copy of an event that has waited for its handler could come after its row is gone, and be handled again.',
    );
  }
}

/** They are beside the options, and Nest has taken them out; only those that a factory gave are still there. */
function refuseExtras(root: OptionReader, problems: string[]): void {
  for (const key of ['dataSources', 'producer', 'consumer', 'isGlobal']) {
    if (root.raw(key) === undefined) continue;
    problems.push(
      `"${key}" shapes the module and can't come from a factory: write it beside useFactory, forRootAsync({ ${key}: …, useFactory }).`,
    );
  }
}

function readTransport(root: OptionReader, problems: string[]): ResolvedOptions['transport'] {
  const value = root.raw('transport');
  if (value === undefined) return 'rabbitmq';
  if (value === 'rabbitmq' || value === 'memory' || value instanceof MemoryBroker) return value;
  problems.push(`transport must be "rabbitmq", "memory" or a MemoryBroker, got ${show(value)}.`);
  return 'rabbitmq';
}

function readAllHooks(root: OptionReader, problems: string[]): ResolvedOptions['hooks'] {
  const value = root.raw('hooks');
  if (!Array.isArray(value)) return [readHooks(value, 'hooks', problems)];
  return value.map((hooks: unknown, index) => readHooks(hooks, `hooks[${index}]`, problems));
}

/** When the compensation task runs. */
function readWhen(
  compensation: OptionReader,
  problems: string[],
): Pick<ResolvedOptions['compensation'], 'cron' | 'intervalMs'> {
  const { EVERY_10_SECONDS } = CronExpression;
  const cron = compensation.raw('cron') ?? EVERY_10_SECONDS;
  const intervalMs =
    compensation.raw('intervalMs') === undefined ? undefined : compensation.integer('intervalMs', 0, 50, DAY);
  if (intervalMs !== undefined && compensation.raw('cron') !== undefined)
    problems.push('compensation.cron and compensation.intervalMs say when the same task runs: give one of them.');
  if (typeof cron === 'string' && validateCronExpression(cron).valid) return { cron, intervalMs };
  problems.push(
    `compensation.cron must be a cron expression, for example "${EVERY_10_SECONDS}" (seconds first), got ${show(cron)}.`,
  );
  return { cron: EVERY_10_SECONDS, intervalMs };
}

/** Groups that hold what belongs to the application. */
const FOREIGN = new Set(['connection', 'tls']);

function deepFreeze<T extends object>(value: T): T {
  for (const [key, item] of Object.entries(value) as [string, unknown][]) {
    if (!FOREIGN.has(key) && (Array.isArray(item) || isPlain(item))) deepFreeze(item);
  }
  return Object.freeze(value);
}

function readHeaders(record: OptionReader, problems: string[]): ResolvedOptions['record']['headers'] {
  const headers = record.raw('headers');
  if (headers === undefined || typeof headers === 'function') return headers as ResolvedOptions['record']['headers'];
  problems.push(`record.headers must be a function that returns headers, got ${show(headers)}.`);
  return undefined;
}
