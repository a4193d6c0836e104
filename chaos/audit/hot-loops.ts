import type { Instance } from '../instance';
import type { Violation } from './audit';
import { linesOf } from './timeline';

/** No fault is a reason to say the same so often. Requests that fail, and events that cannot be published, come at the load's rate. */
const SAME_PER_SECOND = 1_000;

/** Processes that said the same thing over and over: they turn in a loop that nothing slows down. */
export async function findHotLoops(instances: readonly Instance[]): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const { name, logFile } of instances) {
    const counts = await countBySecond(linesOf(logFile));
    const [worst] = [...counts].sort(([, a], [, b]) => b - a);
    if (worst && worst[1] > SAME_PER_SECOND)
      violations.push({ rule: 'hot loop', message: `${name} said ${worst[1]} times in one second: ${worst[0]}` });
  }
  return violations;
}

async function countBySecond(lines: AsyncIterable<string>): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const line of lines) {
    const match = /"timestamp":"([^".]+)[^"]*","message":"((?:[^"\\]|\\.){0,120})/.exec(line);
    if (!match) continue;
    const key = `${match[1] ?? ''} ${match[2] ?? ''}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
