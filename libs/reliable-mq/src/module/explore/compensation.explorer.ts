import { Injectable } from '@nestjs/common';
import { compensationsOf } from '../../compensate/compensate.decorator';
import { type CompensationHandler, CompensationRegistry } from '../../compensate/compensation-registry';
import { eventTypeLabel } from '../../event/event-type';
import { EventTypes } from '../../event/event-types';
import type { EventFailure } from '../../event/outcome';
import { findEventType } from '../../event/reliable-event.decorator';
import { type DiscoveredMethod, nameOf, OF_THE_CLASS, whyTwice } from './decorated-methods';

/** Finds every `@Compensate`. */
@Injectable()
export class CompensationExplorer {
  constructor(
    private readonly registry: CompensationRegistry,
    private readonly eventTypes: EventTypes,
  ) {}

  /** Registers them. @returns what is wrong, each a full sentence with class and method */
  explore(methods: readonly DiscoveredMethod[]): readonly string[] {
    const problems: string[] = [];
    const discoveredAs = new Map<CompensationHandler, DiscoveredMethod>();
    for (const discovered of methods) {
      const { instance, name, method, label, isStatic, isOfClass } = discovered;
      for (const eventClass of compensationsOf(method)) {
        const where = `@Compensate on ${label}`;
        if (isOfClass) {
          problems.push(`${where}: ${OF_THE_CLASS}`);
          continue;
        }
        if (!isStatic) {
          problems.push(
            `${where}: its class is request-scoped or transient, but compensations come without a request. Make it a singleton.`,
          );
          continue;
        }
        const eventType = typeof eventClass === 'function' ? findEventType(eventClass) : undefined;
        if (!eventType) {
          problems.push(`${where}: ${nameOf(eventClass)} is not decorated with @ReliableEvent({ type: '…' }).`);
          continue;
        }
        problems.push(...this.eventTypes.add(eventType));
        const handler: CompensationHandler = {
          eventType,
          label,
          invoke: async (event: object, failure: EventFailure) =>
            (instance as Record<string, (event: object, failure: EventFailure) => unknown>)[name]?.(event, failure),
        };
        discoveredAs.set(handler, discovered);
        const taken = this.registry.add(handler);
        if (!taken) continue;
        const why = whyTwice(discoveredAs.get(taken), discovered);
        problems.push(
          `${where}: ${eventTypeLabel(eventType)} has ` +
            (why
              ? `this compensation handler already: ${why}`
              : `a compensation handler already, ${taken.label}. There can be one.`),
        );
      }
    }
    return problems;
  }
}
