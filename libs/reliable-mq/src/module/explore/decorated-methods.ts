import { inspect } from 'node:util';
import type { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { whyNeverRuns } from '../../event/decorated-method';
import type { EventClass, EventType } from '../../event/event-type';
import { findEventType } from '../../event/reliable-event.decorator';

/** A method of a provider or controller, with what is needed to read its decorators and to call it. */
export interface DiscoveredMethod {
  readonly instance: object;
  readonly name: string;
  readonly method: object;
  /** `StockService#deduct` */
  readonly label: string;
  /** False for request-scoped and transient providers, which have no instance to call. */
  readonly isStatic: boolean;
  /** True for a method of the class itself, declared with `static`: there is no instance to call it on. */
  readonly isOfClass: boolean;
  /** Name of the module that provides it, or whose controller it is. */
  readonly moduleName: string | undefined;
  /** Key of the module whose controller it is; undefined for a provider. */
  readonly controllerModule: string | undefined;
}

/**
 * Every method of every provider and controller of the application, each class once per instance.
 * @param seen instances (and prototypes of those that have none) that were found before; they are left out, and the others added
 */
export function discoverMethods(
  discovery: DiscoveryService,
  scanner: MetadataScanner,
  seen = new WeakSet<object>(),
): readonly DiscoveredMethod[] {
  const methods: DiscoveredMethod[] = [];
  const controllers = new Set(discovery.getControllers());
  for (const wrapper of [...discovery.getProviders(), ...controllers] as InstanceWrapper<unknown>[]) {
    const isStatic = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
    const instance = instanceOf(wrapper, isStatic);
    if (!instance || seen.has(isStatic ? instance : (Object.getPrototypeOf(instance) as object))) continue;
    seen.add(isStatic ? instance : (Object.getPrototypeOf(instance) as object));
    const prototype = Object.getPrototypeOf(instance) as object | null;
    if (!prototype || prototype === Object.prototype) continue;
    const add = (name: string, method: unknown, isOfClass: boolean): void => {
      if (typeof method !== 'function') return;
      const label = `${instance.constructor.name}#${name}`;
      const controllerModule = controllers.has(wrapper) ? wrapper.host?.token : undefined;
      const moduleName = wrapper.host?.name;
      methods.push({ instance, name, method, label, isStatic, isOfClass, moduleName, controllerModule });
    };
    for (const name of scanner.getAllMethodNames(prototype)) {
      add(name, (prototype as Record<string, unknown>)[name], false);
    }
    for (const [name, value] of staticValues(instance.constructor)) add(name, value, true);
  }
  return methods;
}

/** What a class has itself, and what it inherits; getters are not called. */
function* staticValues(ofClass: object): Generator<readonly [string, unknown]> {
  let each: object | null = ofClass;
  while (each && each !== Function.prototype) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
      yield [name, descriptor.value];
    }
    each = Object.getPrototypeOf(each) as object | null;
  }
}

/** @returns why one decorated method was discovered twice, and what to do; undefined when they are two methods */
export function whyTwice(
  first: DiscoveredMethod | undefined,
  second: DiscoveredMethod | undefined,
): string | undefined {
  if (!first || !second || first.instance === second.instance || first.method !== second.method) return undefined;
  const [one, two] = [first, second].map(({ instance, moduleName }) => ({
    name: instance.constructor.name,
    place: `in ${moduleName ?? 'a module'}`,
  })) as [Provided, Provided];
  if (first.instance.constructor === second.instance.constructor) {
    const places = one.place === two.place ? `both times ${one.place}` : `${one.place} and ${two.place}`;
    return (
      `${one.name} is provided twice, ${places}. Provide it once, in one module that exports it, and import that module ` +
      'where it is needed; a second token can name it with useExisting.'
    );
  }
  return (
    `${one.name} (${one.place}) and ${two.name} (${two.place}) are both provided, and it is one method, inherited. Provide one ` +
    'of them, in one module that exports it, or override the method in a subclass.'
  );
}

interface Provided {
  readonly name: string;
  readonly place: string;
}

function instanceOf(wrapper: InstanceWrapper<unknown>, isStatic: boolean): object | undefined {
  if (isStatic) {
    const { instance } = wrapper;
    return typeof instance === 'object' && instance !== null ? instance : undefined;
  }
  const { metatype } = wrapper;
  const prototype = typeof metatype === 'function' ? (metatype.prototype as object | undefined) : undefined;
  return prototype ? (Object.create(prototype) as object) : undefined;
}

/**
 * The event type that a decorated method takes.
 * @param eventClass what its decorator was given
 * @param what comes to it, for messages
 * @returns why it can't take it, as the end of a sentence about the method, when it can't
 */
export function typeTakenBy(
  { method, isStatic, isOfClass }: DiscoveredMethod,
  eventClass: EventClass,
  what: 'messages' | 'compensations',
): EventType | string {
  if (isOfClass)
    return 'it is a static method, but events are given to the instance that Nest creates. Take "static" away.';
  if (!isStatic) {
    return (
      `its class is request-scoped or transient, but ${what} come without a request. Make it a singleton, and resolve what is ` +
      'request-scoped in the method with ModuleRef.'
    );
  }
  const eventType = typeof eventClass === 'function' ? findEventType(eventClass) : undefined;
  return (
    whyNeverRuns(method) ?? eventType ?? `${nameOf(eventClass)} is not decorated with @ReliableEvent({ type: '…' }).`
  );
}

/** What a decorator got in the place of an event class. */
function nameOf(eventClass: unknown): string {
  if (typeof eventClass === 'function') return eventClass.name;
  return eventClass === undefined ? 'undefined (a class that is imported in a circle?)' : inspect(eventClass);
}
