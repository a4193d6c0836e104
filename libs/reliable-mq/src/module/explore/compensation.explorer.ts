import { Injectable } from '@nestjs/common';
import { compensationsOf } from '../../compensate/compensate.decorator';
import { type CompensationHandler, CompensationRegistry } from '../../compensate/compensation-registry';
import { settled } from '../../event/decorated-method';
import { eventTypeLabel } from '../../event/event-type';
import { EventTypes } from '../../event/event-types';
import type { EventFailure } from '../../event/outcome';
import { type DiscoveredMethod, typeTakenBy, whyTwice } from './decorated-methods';

type CompensationMethod = (event: object, failure: EventFailure) => unknown;

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
      const { instance, name, method, label } = discovered;
      for (const eventClass of compensationsOf(method)) {
        const where = `@Compensate on ${label}`;
        const eventType = typeTakenBy(discovered, eventClass, 'compensations');
        if (typeof eventType === 'string') {
          problems.push(`${where}: ${eventType}`);
          continue;
        }
        problems.push(...this.eventTypes.add(eventType));
        const handler: CompensationHandler = {
          eventType,
          label,
          // Straight, not through guards and interceptors: those are about who may ask for something, and nobody asks here.
          invoke: async (event, failure, run) =>
            settled((instance as Record<string, CompensationMethod>)[name]?.(event, failure), label, run),
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
