import { Inject, Injectable } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { ExternalContextCreator } from '@nestjs/core/helpers/external-context-creator.js';
import { createInvoker } from '../../consume/handler-invoker';
import type { BatchPolicy, Handler } from '../../consume/handler';
import { HandlerRegistry } from '../../consume/handler-registry';
import { handlersOf, type ReliableEventHandlerOptions } from '../../consume/reliable-event-handler.decorator';
import { CONSUMER_MAX_LENGTH, CONSUMER_PATTERN, eventTypeLabel } from '../../event/event-type';
import { EventTypes } from '../../event/event-types';
import { consumerQueue } from '../../event/queue-names';
import { OptionReader } from '../../input/option-reader';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../../options/resolved-options';
import { retryHorizonMs } from '../../options/retry-horizon';
import { Stores } from '../../database/stores';
import { type DiscoveredMethod, typeTakenBy, whyTwice } from './decorated-methods';
import { readDataSource } from './read-data-source';

type HandlerDefaults = Pick<ResolvedOptions, 'service' | 'consume' | 'publish' | 'receipts' | 'retention'>;
type HandlerSettings = Omit<Handler, 'eventType' | 'label' | 'invoke'>;

const HOUR_MS = 60 * 60 * 1000;

/** Finds every `@ReliableEventHandler`. */
@Injectable()
export class HandlerExplorer {
  constructor(
    private readonly registry: HandlerRegistry,
    private readonly eventTypes: EventTypes,
    private readonly stores: Stores,
    @Inject(RESOLVED_OPTIONS) private readonly options: HandlerDefaults,
    private readonly contexts: ExternalContextCreator,
    private readonly config: ApplicationConfig,
  ) {}

  /** Registers them. @returns what is wrong, each a full sentence with class and method */
  explore(methods: readonly DiscoveredMethod[]): readonly string[] {
    const problems: string[] = [];
    const discoveredAs = new Map<Handler, DiscoveredMethod>();
    for (const discovered of methods) {
      const { method, label } = discovered;
      for (const { eventClass, options: own } of handlersOf(method)) {
        const where = `@ReliableEventHandler on ${label}`;
        const eventType = typeTakenBy(discovered, eventClass, 'messages');
        if (typeof eventType === 'string') {
          problems.push(`${where}: ${eventType}`);
          continue;
        }
        problems.push(...this.eventTypes.add(eventType));
        const settings = readSettings(own, this.options, this.stores, where, problems);
        const handler: Handler = {
          ...settings,
          eventType,
          label,
          invoke: createInvoker(this.contexts, this.config, discovered),
        };
        discoveredAs.set(handler, discovered);
        problems.push(...inboxProblems(handler, this.options, where));
        const taken = takenPlace(this.registry, handler, this.options.service, discoveredAs);
        if (taken) problems.push(`${where}: ${taken}`);
      }
    }
    return problems;
  }
}

/** The handler's own options, completed by the module's. */
function readSettings(
  own: ReliableEventHandlerOptions,
  { service, consume }: HandlerDefaults,
  stores: Stores,
  where: string,
  problems: string[],
): HandlerSettings {
  const found: string[] = [];
  const reader = new OptionReader(own, '', found);
  const settings: HandlerSettings = {
    consumer: reader.text(
      'consumer',
      service,
      CONSUMER_PATTERN,
      CONSUMER_MAX_LENGTH,
      'a name of letters, digits, _ and -, in words joined by dots',
    ),
    stores: readDataSource(reader, stores, found),
    prefetch: reader.integer('prefetch', consume.prefetch, 1, 65_535),
    timeoutMs: reader.integer('timeoutMs', consume.timeoutMs, 100, 24 * HOUR_MS),
    maxAttempts: reader.integer('maxAttempts', consume.maxAttempts, 1, 10_000),
    backoff: reader.backoff('backoff', consume.backoff),
    batch: readBatch(reader, found),
  };
  // `false` says what every handler does now.
  if (reader.raw('shareCommits') === true) {
    found.push('shareCommits is gone. Let the handler take several events at once: batch: { size: 100 }.');
  }
  reader.refuseUnknown();
  if (settings.batch && settings.batch.size > settings.prefetch)
    found.push(
      `batch.size (${settings.batch.size}) is above prefetch (${settings.prefetch}), so no batch could ever be full: raise prefetch.`,
    );
  problems.push(...found.map((problem) => `${where}: ${problem}`));
  return settings;
}

/** How many events the handler takes at once; undefined: one. */
function readBatch(reader: OptionReader, problems: string[]): BatchPolicy | undefined {
  if (reader.raw('batch') === undefined) return undefined;
  const batch = reader.group('batch');
  const policy = { size: batch.integer('size', 0, 1, 10_000), waitMs: batch.integer('waitMs', 20, 0, 60_000) };
  if (batch.raw('size') === undefined) problems.push('batch.size is missing: the most events of one run.');
  batch.refuseUnknown();
  return policy;
}

/** An inbox row that is pruned while its event can still come again lets the handler run twice. */
function inboxProblems(handler: Handler, options: HandlerDefaults, where: string): readonly string[] {
  const { publish, receipts, retention } = options;
  const { giveUp, eventClass } = handler.eventType;
  const policy = {
    maxAttempts: giveUp.maxAttempts ?? publish.maxAttempts,
    backoff: { ...publish.backoff, ...giveUp.backoff },
  };
  const hours = retryHorizonMs(policy, receipts.chaseAfterMs, handler) / HOUR_MS;
  if (hours < retention.inboxHours) return [];
  return [
    `${where}: with its options and those of ${eventClass.name}, an event can be retried for ${hours.toFixed(1)} hours, but ` +
      `retention.inboxHours is ${retention.inboxHours}, and a late duplicate would be handled again. Raise it, or lower attempts or backoff.`,
  ];
}

/** Registers the handler. @returns why it can't have its place, when another one has it */
function takenPlace(
  registry: HandlerRegistry,
  handler: Handler,
  service: string,
  discoveredAs: ReadonlyMap<Handler, DiscoveredMethod>,
): string | undefined {
  const { consumer, eventType } = handler;
  const { type, eventClass } = eventType;
  const queue = consumerQueue(consumer, type);
  const other = registry.find(consumer, type);
  if (other && other.type !== type) {
    return (
      `consumer "${consumer}" would take ${type} in the queue "${queue}", in which consumer "${other.consumer}" takes ` +
      `${other.type}. Name the consumer differently.`
    );
  }
  const taken = registry.add(handler);
  if (taken && taken.eventType.version !== eventType.version) {
    return (
      `its DataSource is "${handler.stores.name}", but ${taken.label} handles ${eventTypeLabel(taken.eventType)} from the same ` +
      `queue "${queue}" in "${taken.stores.name}". Give all versions of a queue the same dataSource.`
    );
  }
  if (!taken) return undefined;
  const why = whyTwice(discoveredAs.get(taken), discoveredAs.get(handler));
  if (why) return `consumer "${consumer}" has this handler for ${eventTypeLabel(eventType)} already: ${why}`;
  return (
    `consumer "${consumer}" has a handler for ${eventTypeLabel(eventType)} already, ${taken.label}. ` +
    `Name the second one: @ReliableEventHandler(${eventClass.name}, { consumer: '${service}.…' }).`
  );
}
