/**
 * Give a function that wraps another one the metadata that decorators have put on it (guards, interceptors, routes, …), so
 * that it does not matter in which order decorators stand on a method.
 */
export function copyMetadata(from: object, to: object): void {
  for (const key of Reflect.getOwnMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, from), to);
  }
}
