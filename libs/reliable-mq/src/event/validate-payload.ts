import { plainToInstance } from 'class-transformer';
import { Validator, type ValidationError, type ValidatorOptions } from 'class-validator';
import { ValidationExecutor } from 'class-validator/cjs/validation/ValidationExecutor.js';
import { describeError, type InvalidProperty } from './errors';
import type { EventClass } from './event-type';
import { instanceOfFlat } from './flat-payload';

export type ValidatedPayload<T> = { readonly instance: T } | { readonly invalid: readonly InvalidProperty[] };

/**
 * A payload's instance of its class, or every property that its class-validator decorators refuse.
 * @param payload parsed JSON
 * @returns a promise only if a rule is asynchronous or refuses: each one costs whoever follows asynchronous calls. It rejects
 *   when the rule's own promise does, which says nothing of the payload
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
  const flat = instanceOfFlat(eventClass, payload);
  if (flat) return { instance: flat };
  let instance: T;
  try {
    instance = plainToInstance(eventClass, payload);
  } catch (error) {
    if (error instanceof RangeError) throw error; // nested too deeply for the stack
    const problem = `can't become an instance of ${eventClass.name}, whose constructor must work without arguments: ${describeError(error, 300)}`;
    return { invalid: [{ property: '(payload)', problems: [problem] }] };
  }
  return checked(instance, errorsOf(instance));
}

const OPTIONS: ValidatorOptions = { forbidUnknownValues: false };

// Not an async function, in which what is thrown at once would look like a rejection.
function checked<T extends object>(
  instance: T,
  errors: ValidationError[] | Promise<ValidationError[]>,
): ValidatedPayload<T> | Promise<ValidatedPayload<T>> {
  if (errors instanceof Promise) return errors.then((all) => checked(instance, all));
  return errors.length === 0 ? { instance } : { invalid: errors.flatMap((error) => flatten(error, '')) };
}

/**
 * By what class-validator's own `validate` is made of. That one loses sight of the promises of asynchronous rules when a rule after them
 * throws at once, and one that rejects then ends the process (class-validator 0.14 and 0.15, `Validator.coreValidate`).
 * @throws what a rule throws at once
 */
function errorsOf(instance: object): ValidationError[] | Promise<ValidationError[]> {
  const executor = new ValidationExecutor(new Validator(), OPTIONS);
  const errors: ValidationError[] = [];
  try {
    executor.execute(instance, undefined as unknown as string, errors);
  } catch (error) {
    for (const promise of executor.awaitingPromises) Promise.resolve(promise).catch(() => undefined);
    throw error;
  }
  if (executor.awaitingPromises.length > 0) {
    return Promise.all(executor.awaitingPromises).then(() => executor.stripEmptyErrors(errors));
  }
  const found = executor.stripEmptyErrors(errors);
  return found.length === 0 ? found : Promise.resolve(found);
}

function flatten(error: ValidationError, parent: string): InvalidProperty[] {
  const isIndex = /^\d+$/.test(error.property);
  const property = isIndex ? `${parent}[${error.property}]` : parent ? `${parent}.${error.property}` : error.property;
  const own = error.constraints ? [{ property, problems: problemsOf(error) }] : [];
  return [...own, ...(error.children ?? []).flatMap((child) => flatten(child, property))];
}

/** Whoever records a `Date` is told that it is none: what is validated is what consumers will read. */
function problemsOf({ constraints = {}, value }: ValidationError): readonly string[] {
  return Object.entries(constraints).map(([rule, problem]) =>
    rule === 'isDate' && !(value instanceof Date) ? `${problem} (JSON has no dates: add @Type(() => Date))` : problem,
  );
}
