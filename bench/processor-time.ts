import { readFileSync } from 'node:fs';
import { treeOf } from '../tools/servers/process-table';

/** `USER_HZ` of Linux on every architecture that Node runs on: proc(5) gives times in hundredths of a second. */
const TICK_MS = 10;

/**
 * Milliseconds of processor time that a process and everything below it have used, children that have ended included.
 *
 * @returns undefined where it cannot be read: on a system without /proc, or for a process that does not run
 */
export function treeCpuMs(pid: number | undefined): number | undefined {
  if (pid === undefined || ticksOf(pid) === undefined) return undefined;
  return treeOf(pid).reduce((sum, one) => sum + (ticksOf(one) ?? 0) * TICK_MS, 0);
}

/** utime, stime, and both of children that it has waited for: fields 14 to 17 of proc(5), counted from behind the name. */
function ticksOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  } catch {
    return undefined;
  }
}
