import { inspect } from 'node:util';
import type { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper';

/** A method of a provider or controller, with what is needed to read its decorators and to call it. */
export interface DiscoveredMethod {
  readonly instance: object;
  readonly name: string;
  readonly method: object;
  /** `StockService#deduct` */
  readonly label: string;
  /** False for request-scoped and transient providers, which have no instance to call. */
  readonly isStatic: boolean;
  /** Key of the module whose controller it is; undefined for a provider. */
  readonly controllerModule: string | undefined;
}

/** Every method of every provider and controller of the application, each class once per instance. */
export function discoverMethods(discovery: DiscoveryService, scanner: MetadataScanner): readonly DiscoveredMethod[] {
  const seen = new Set<object>();
  const methods: DiscoveredMethod[] = [];
  const controllers = new Set(discovery.getControllers());
  for (const wrapper of [...discovery.getProviders(), ...controllers] as InstanceWrapper<unknown>[]) {
    const isStatic = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
    const instance = instanceOf(wrapper, isStatic);
    if (!instance || seen.has(isStatic ? instance : (Object.getPrototypeOf(instance) as object))) continue;
    seen.add(isStatic ? instance : (Object.getPrototypeOf(instance) as object));
    const prototype = Object.getPrototypeOf(instance) as object | null;
    if (!prototype || prototype === Object.prototype) continue;
    for (const name of scanner.getAllMethodNames(prototype)) {
      const method = (prototype as Record<string, unknown>)[name];
      if (typeof method !== 'function') continue;
      const label = `${instance.constructor.name}#${name}`;
      const controllerModule = controllers.has(wrapper) ? wrapper.host?.token : undefined;
      methods.push({ instance, name, method, label, isStatic, controllerModule });
    }
  }
  return methods;
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

/** What a decorator got in the place of an event class, for messages. */
export function nameOf(eventClass: unknown): string {
  if (typeof eventClass === 'function') return eventClass.name;
  return eventClass === undefined ? 'undefined (a class that is imported in a circle?)' : inspect(eventClass);
}
