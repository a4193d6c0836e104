import { plainToInstance } from 'class-transformer';
import { validate, type ValidationError } from 'class-validator';
import { describeError, type InvalidProperty } from './errors';
import type { EventClass } from './event-type';
import { passesQuickly } from './quick-validation';

export type ValidatedPayload<T> = { readonly instance: T } | { readonly invalid: readonly InvalidProperty[] };

/**
 * A payload's instance of its class, or every property that its class-validator decorators refuse.
 * @param payload parsed JSON
 * @returns a promise only if class-validator had to be asked: each one costs whoever follows asynchronous calls. It rejects
 *   when a rule's own promise does, which says nothing of the payload
 * @throws what a rule throws at once, which it does for this payload each time
 */
export function validatePayload<T extends object>(
  eventClass: EventClass<T>,
  payload: unknown,
): ValidatedPayload<T> | Promise<ValidatedPayload<T>> {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    const got = payload === null ? 'null' : Array.isArray(payload) ? 'an array' : typeof payload;
    return { invalid: [{ property: '(payload)', problems: [`must be an object, got ${got}`] }] };
  }
  let instance: T;
  try {
    instance = plainToInstance(eventClass, payload);
  } catch (error) {
    if (error instanceof RangeError) throw error; // nested too deeply for the stack
    const problem = `can't become an instance of ${eventClass.name}, whose constructor must work without arguments: ${describeError(error, 300)}`;
    return { invalid: [{ property: '(payload)', problems: [problem] }] };
  }
  if (passesQuickly(eventClass, instance)) return { instance };
  return validateSlowly(instance);
}

// Not an async function, in which what is thrown at once would look like a rejection.
function validateSlowly<T extends object>(instance: T): Promise<ValidatedPayload<T>> {
  return validate(instance, { forbidUnknownValues: false }).then((errors) =>
    errors.length === 0 ? { instance } : { invalid: errors.flatMap((error) => flatten(error, '')) },
  );
}

function flatten(error: ValidationError, parent: string): InvalidProperty[] {
  const isIndex = /^\d+$/.test(error.property);
  const property = isIndex ? `${parent}[${error.property}]` : parent ? `${parent}.${error.property}` : error.property;
  const own = error.constraints ? [{ property, problems: Object.values(error.constraints) }] : [];
  return [...own, ...(error.children ?? []).flatMap((child) => flatten(child, property))];
}
