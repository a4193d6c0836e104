import type { DecoratorOf } from '../event/decorated-method';
import type { EventClass } from '../event/event-type';
import type { EventFailure } from '../event/outcome';

const COMPENSATIONS = Symbol.for('ReliableMq:Compensations');

/**
 * Undo the business of an event that ended `dead`: the method is called once with `(event, failure: EventFailure)`, in a
 * transaction that commits together with the outbox row, and again until that has succeeded. Some consumers may have handled
 * the event, or may still do so: write it so that it is right in either order. An Observable that it returns is run to its end.
 */
export function Compensate<Event extends object>(
  eventClass: EventClass<Event>,
): DecoratorOf<[event: Event, failure: EventFailure]> {
  return (_target, _name, descriptor) => {
    const method = descriptor.value as unknown as object;
    const known = (Reflect.getOwnMetadata(COMPENSATIONS, method) as EventClass[] | undefined) ?? [];
    Reflect.defineMetadata(COMPENSATIONS, [...known, eventClass], method);
  };
}

/** Event classes whose compensation a method is. */
export function compensationsOf(method: object): readonly EventClass[] {
  return (Reflect.getMetadata(COMPENSATIONS, method) as EventClass[] | undefined) ?? [];
}
