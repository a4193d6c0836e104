import { defaultMetadataStorage } from 'class-transformer/cjs/storage.js';
import { getMetadataStorage, type ValidatorConstraintInterface, ValidationTypes } from 'class-validator';
import type { EventClass } from './event-type';

/** What class-validator's rules say of one property. */
interface PropertyRules {
  readonly property: string;
  /** `@IsOptional`, `@ValidateIf`: whether the checks apply. */
  readonly conditions: readonly ((object: object, value: unknown) => unknown)[];
  readonly checks: readonly Check[];
}

interface Check {
  readonly constraints: unknown[];
  /** Asked each time, as class-validator does: it may come out of the application's container. */
  readonly constraint: { readonly instance: ValidatorConstraintInterface };
}

/** undefined: class-transformer or class-validator have more to do for the class than what is done here. */
const known = new WeakMap<EventClass, readonly PropertyRules[] | undefined>();

/**
 * The payload's instance when it is plain to see what class-transformer and class-validator would make of it: no value of it is an object, the
 * class has rules about single values only, and all of them hold. Found out once for each class; asking both each time takes a fifth of what
 * recording an event costs in Node.
 * @returns undefined when those must be asked
 * @throws what a rule throws at once
 */
export function instanceOfFlat<T extends object>(eventClass: EventClass<T>, payload: object): T | undefined {
  const rules = rulesOf(eventClass);
  if (!rules) return undefined;
  const instance = filled(eventClass, payload);
  return instance && holds(rules, eventClass, instance) ? (instance as T) : undefined;
}

function rulesOf(eventClass: EventClass): readonly PropertyRules[] | undefined {
  if (known.has(eventClass)) return known.get(eventClass);
  const rules = isTransformed(eventClass) ? undefined : readRules(eventClass);
  known.set(eventClass, rules);
  return rules;
}

/** Whether class-transformer was told anything about the class. */
function isTransformed(eventClass: EventClass): boolean {
  const { _typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas } =
    defaultMetadataStorage as unknown as Record<string, ReadonlyMap<unknown, unknown> | undefined>;
  for (let each: unknown = eventClass; typeof each === 'function'; each = Object.getPrototypeOf(each)) {
    for (const told of [_typeMetadatas, _transformMetadatas, _exposeMetadatas, _excludeMetadatas])
      if (!told || told.has(each)) return true;
  }
  return false;
}

function readRules(eventClass: EventClass): readonly PropertyRules[] | undefined {
  const storage = getMetadataStorage();
  const all = storage.getTargetValidationMetadatas(eventClass, undefined as unknown as string, false, false);
  const rules: PropertyRules[] = [];
  for (const [property, ofProperty] of Object.entries(storage.groupByPropertyName(all))) {
    const conditions: PropertyRules['conditions'][number][] = [];
    const checks: Check[] = [];
    for (const { type, constraints, constraintCls, each, validateIf } of ofProperty) {
      if (type === ValidationTypes.CONDITIONAL_VALIDATION) conditions.push(constraints[0] as (typeof conditions)[0]);
      else if (type !== ValidationTypes.CUSTOM_VALIDATION || each || validateIf) return undefined;
      else {
        for (const constraint of storage.getTargetValidatorConstraints(constraintCls)) {
          if (constraint.async) return undefined;
          checks.push({ constraints, constraint });
        }
      }
    }
    rules.push({ property, conditions, checks });
  }
  return rules;
}

/** As class-transformer does it. @returns undefined for what it treats in a way of its own */
function filled(eventClass: EventClass, payload: object): Record<string, unknown> | undefined {
  let instance: Record<string, unknown>;
  try {
    instance = new eventClass() as Record<string, unknown>;
  } catch {
    return undefined;
  }
  for (const [name, value] of Object.entries(payload)) {
    if (typeof value === 'object' && value !== null) return undefined;
    // Accessors, methods, and what every object has.
    if (name in eventClass.prototype || typeof instance[name] === 'function') return undefined;
    instance[name] = value;
  }
  return instance;
}

function holds(
  rules: readonly PropertyRules[],
  eventClass: EventClass,
  object: Readonly<Record<string, unknown>>,
): boolean {
  for (const { property, conditions, checks } of rules) {
    const value = object[property];
    if (conditions.length > 0 && !conditions.every((applies) => applies(object, value))) continue;
    for (const { constraint, constraints } of checks) {
      const told = { targetName: eventClass.name, property, object, value, constraints };
      const verdict: unknown = constraint.instance.validate(value, told);
      if (verdict === true) continue;
      if (typeof verdict === 'object') {
        // A promise that was not announced: from now on class-validator is asked alone.
        Promise.resolve(verdict).catch(() => undefined);
        known.set(eventClass, undefined);
      }
      return false;
    }
  }
  return true;
}
