import type { Violation } from './audit/audit';
import { type Causes, causesOf } from './audit/causes';
import type { Snapshot } from './audit/snapshot';
import type { Cost } from './costs';
import type { InjectedFault } from './inject';
import type { ChaosOptions } from './options';
import type { Plan } from './plan';

export interface Verdict {
  readonly seed: number;
  readonly cluster: boolean;
  readonly instances: number;
  readonly servers: readonly string[];
  /** Requests sent. */
  readonly orders: number;
  readonly accepted: number;
  readonly refused: number;
  readonly unknown: number;
  /** Of the unknown, those that had committed. */
  readonly committedWithoutAnswer: number;
  readonly confirmed: number;
  readonly failed: number;
  /** Dead events whose compensation committed. */
  readonly compensated: number;
  /** How many of the failed and of the compensated were meant to be, and how many are the faults'. */
  readonly causes: Causes;
  readonly parked: number;
  readonly violations: readonly Violation[];
  readonly faults: Readonly<Record<string, number>>;
  readonly missed: Readonly<Record<string, number>>;
  readonly impossible: Plan['impossible'];
  readonly costs: readonly Cost[];
  /** From the end of the last fault, or of the load if that ended later. */
  readonly secondsToQuiet: number;
  readonly seconds: number;
}

export function judge(parts: {
  readonly options: ChaosOptions;
  readonly plan: Plan;
  readonly servers: readonly string[];
  readonly snapshot: Snapshot;
  readonly violations: readonly Violation[];
  readonly injected: readonly InjectedFault[];
  readonly costs: readonly Cost[];
  readonly secondsToQuiet: number;
  readonly seconds: number;
}): Verdict {
  const { options, plan, servers, snapshot, violations, injected, costs, secondsToQuiet, seconds } = parts;
  const answers = (answer: string): number => snapshot.requests.filter((request) => request.answer === answer).length;
  const statuses = (status: string): number => snapshot.orders.filter((order) => order.status === status).length;
  const acknowledged = new Set(snapshot.requests.map(({ orderId }) => orderId));
  return {
    seed: options.seed,
    cluster: options.cluster,
    instances: options.instances,
    servers,
    orders: snapshot.requests.length,
    accepted: answers('accepted'),
    refused: answers('refused'),
    unknown: answers('unknown'),
    committedWithoutAnswer: snapshot.orders.filter(({ id }) => !acknowledged.has(id)).length,
    confirmed: statuses('CONFIRMED'),
    failed: statuses('FAILED'),
    compensated: snapshot.events.filter((event) => event.is_compensated).length,
    causes: causesOf(snapshot),
    parked: snapshot.handlings.filter(({ body_start: parked }) => parked !== null).length,
    violations,
    faults: countByName(injected.filter(({ missed }) => !missed)),
    missed: countByName(injected.filter(({ missed }) => missed)),
    impossible: plan.impossible,
    costs,
    secondsToQuiet,
    seconds,
  };
}

function countByName(faults: readonly InjectedFault[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name } of faults) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
