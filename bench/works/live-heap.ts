import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Megabytes of the heap that are really in use. Resident memory also holds what V8 has not yet found worth collecting, and that
 * depends on how much the machine has.
 */
export function liveHeapMb(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
