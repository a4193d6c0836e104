import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Megabytes that are really in use, in the heap and in buffers beside it. Resident memory also holds what V8 has not yet found worth collecting, and that
 * depends on how much the machine has.
 */
export function liveMemoryMb(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}
