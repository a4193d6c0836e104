import type { ExternalContextCreator } from '@nestjs/core/helpers/external-context-creator';
import { createInvoker } from '../consume/handler-invoker';
import type { Handler } from '../consume/handler';
import type { HandlerRegistry } from '../consume/handler-registry';
import { handlersOf, type ReliableEventHandlerOptions } from '../consume/reliable-event-handler.decorator';
import { CONSUMER_MAX_LENGTH, CONSUMER_PATTERN, eventTypeLabel } from '../domain/event-type';
import type { EventTypes } from '../domain/event-types';
import type { ResolvedOptions } from '../options/resolved-options';
import { findEventType } from '../record/reliable-event.decorator';
import type { Stores } from '../stores/stores';
import type { DiscoveredMethod } from './decorated-methods';

/** Registers every `@ReliableEventHandler`. @returns what is wrong, each a full sentence with class and method */
export function exploreHandlers(
  methods: readonly DiscoveredMethod[],
  registry: HandlerRegistry,
  eventTypes: EventTypes,
  stores: Stores,
  options: Pick<ResolvedOptions, 'service' | 'consume'>,
  contexts: ExternalContextCreator,
): readonly string[] {
  const problems: string[] = [];
  for (const { instance, name, method, label, isStatic } of methods) {
    for (const { eventClass, options: own } of handlersOf(method)) {
      const where = `@ReliableEventHandler on ${label}`;
      if (!isStatic) {
        problems.push(
          `${where}: its class is request-scoped or transient, but messages come without a request. Make it a singleton, and resolve what is request-scoped in the method with ModuleRef.`,
        );
        continue;
      }
      const eventType = typeof eventClass === 'function' ? findEventType(eventClass) : undefined;
      if (!eventType) {
        problems.push(
          `${where}: ${typeof eventClass === 'function' ? eventClass.name : String(eventClass)} is not decorated with @ReliableEvent({ type: '…' }).`,
        );
        continue;
      }
      problems.push(...eventTypes.add(eventType), ...problemsOf(own, where, stores));
      const { consume } = options;
      const handler: Handler = {
        consumer: own.consumer ?? options.service,
        eventType,
        stores: (own.dataSource === undefined ? undefined : stores.find(own.dataSource)) ?? stores.default,
        label,
        prefetch: own.prefetch ?? consume.prefetch,
        timeoutMs: own.timeoutMs ?? consume.timeoutMs,
        maxAttempts: own.maxAttempts ?? consume.maxAttempts,
        backoff: { ...consume.backoff, ...own.backoff },
        invoke: createInvoker(contexts, instance, name),
      };
      const taken = registry.add(handler);
      if (taken) {
        problems.push(
          `${where}: consumer "${handler.consumer}" has a handler for ${eventTypeLabel(eventType)} already, ${taken.label}. ` +
            `Name the second one: @ReliableEventHandler(${eventType.eventClass.name}, { consumer: '${options.service}.…' }).`,
        );
      }
    }
  }
  return problems;
}

function problemsOf(own: ReliableEventHandlerOptions, where: string, stores: Stores): readonly string[] {
  const problems: string[] = [];
  const { consumer, prefetch, timeoutMs, maxAttempts, backoff, dataSource } = own;
  if (consumer !== undefined && (!CONSUMER_PATTERN.test(consumer) || consumer.length > CONSUMER_MAX_LENGTH)) {
    problems.push(
      `${where}: consumer ${JSON.stringify(consumer)} must be words of letters, digits, _ and -, joined by dots, at most ${CONSUMER_MAX_LENGTH} characters.`,
    );
  }
  const whole = (name: string, value: number | undefined, min: number, max: number): void => {
    if (value !== undefined && !(Number.isInteger(value) && value >= min && value <= max)) {
      problems.push(`${where}: ${name} must be a whole number from ${min} to ${max}, got ${value}.`);
    }
  };
  whole('prefetch', prefetch, 1, 65_535);
  whole('timeoutMs', timeoutMs, 100, 24 * 60 * 60 * 1000);
  whole('maxAttempts', maxAttempts, 1, 10_000);
  whole('backoff.initialMs', backoff?.initialMs, 1, Number.MAX_SAFE_INTEGER);
  whole('backoff.maxMs', backoff?.maxMs, 1, Number.MAX_SAFE_INTEGER);
  if (dataSource !== undefined && !stores.find(dataSource)) {
    problems.push(
      `${where}: DataSource "${dataSource}" is not one of the module's (${stores.all.map((set) => `"${set.name}"`).join(', ')}).`,
    );
  }
  return problems;
}
