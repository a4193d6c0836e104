import { plainToInstance } from 'class-transformer';
import { validate, type ValidationError } from 'class-validator';
import { describeError, type InvalidProperty } from './errors';
import type { EventClass } from './event-type';
import { passesQuickly } from './quick-validation';

/**
 * A payload's instance of its class, and every property that its class-validator decorators refuse.
 * @param payload parsed JSON
 */
export async function validatePayload<T extends object>(
  eventClass: EventClass<T>,
  payload: unknown,
): Promise<{ readonly instance: T } | { readonly invalid: readonly InvalidProperty[] }> {
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
  const errors = await validate(instance, { forbidUnknownValues: false });
  return errors.length === 0 ? { instance } : { invalid: errors.flatMap((error) => flatten(error, '')) };
}

function flatten(error: ValidationError, parent: string): InvalidProperty[] {
  const isIndex = /^\d+$/.test(error.property);
  const property = isIndex ? `${parent}[${error.property}]` : parent ? `${parent}.${error.property}` : error.property;
  const own = error.constraints ? [{ property, problems: Object.values(error.constraints) }] : [];
  return [...own, ...(error.children ?? []).flatMap((child) => flatten(child, property))];
}
