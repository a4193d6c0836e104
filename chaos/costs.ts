import { linesOf } from './audit/timeline';
import type { InjectedFault } from './inject';
import type { Instance } from './instance';
import type { Sample } from './watch';

/** What one kind of fault did. */
export interface Cost {
  readonly name: string;
  readonly family: string;
  injected: number;
  missed: number;
  /** From its begin until no order was late any more, in the worst case. */
  maxSecondsToQuiet: number;
  duplicates: number;
  redeliveries: number;
}

interface Repair {
  readonly at: number;
  readonly kind: 'duplicate' | 'redelivery';
}

/**
 * What the faults of each kind cost. Faults overlap, so this says what happened around them: a duplicate or a redelivery is put
 * to the fault that began last before it.
 */
export async function costsOf(
  faults: readonly InjectedFault[],
  samples: readonly Sample[],
  instances: readonly Instance[],
): Promise<Cost[]> {
  const costs = new Map<string, Cost>();
  const injected = [...faults].sort((a, b) => a.beganAt - b.beganAt);
  for (const fault of injected) {
    const cost = costs.get(fault.name) ?? {
      name: fault.name,
      family: fault.family,
      injected: 0,
      missed: 0,
      maxSecondsToQuiet: 0,
      duplicates: 0,
      redeliveries: 0,
    };
    costs.set(fault.name, cost);
    if (fault.missed) cost.missed += 1;
    else {
      cost.injected += 1;
      const quiet = samples.find(({ at, late }) => at >= (fault.endedAt ?? at) && late === 0);
      if (quiet)
        cost.maxSecondsToQuiet = Math.max(cost.maxSecondsToQuiet, Math.round((quiet.at - fault.beganAt) / 100) / 10);
    }
  }
  for (const { at, kind } of await repairsIn(instances)) {
    const fault = injected.findLast(({ beganAt, missed }) => beganAt <= at && !missed);
    const cost = fault && costs.get(fault.name);
    if (!cost) continue;
    if (kind === 'duplicate') cost.duplicates += 1;
    else cost.redeliveries += 1;
  }
  return [...costs.values()];
}

async function repairsIn(instances: readonly Instance[]): Promise<Repair[]> {
  const repairs: Repair[] = [];
  for (const { traceFile } of instances) {
    for await (const line of linesOf(traceFile)) {
      const match = /^\[(\d+),"(duplicate|received)",(.*)/.exec(line);
      if (match?.[2] === 'duplicate') repairs.push({ at: Number(match[1]), kind: 'duplicate' });
      else if (match?.[3]?.includes('"redelivered":true')) repairs.push({ at: Number(match[1]), kind: 'redelivery' });
    }
  }
  return repairs.sort((a, b) => a.at - b.at);
}
