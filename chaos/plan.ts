import { catalogueOf } from './faults/catalogue';
import type { FaultKind } from './faults/fault';
import { type ChaosOptions, UsageError } from './options';
import { Random } from './random';

export interface PlannedFault {
  readonly number: number;
  readonly kind: FaultKind;
  /** When it begins, as a share of the load; later when its lane is still busy. */
  readonly at: number;
  /** What its own choices are made with. */
  readonly seed: string;
}

export interface Plan {
  readonly faults: readonly PlannedFault[];
  /** Kinds that are left out, and why. */
  readonly impossible: readonly { readonly name: string; readonly why: string }[];
  /** How long the busiest lane is busy. */
  readonly seconds: number;
}

/** The last moments of the load are for the faults that then are still going on. */
const LAST_BEGINS_AT = 0.92;
/** A restart and its neighbours' noise make a fault longer than its kind says. */
const SLACK = 1.3;

/**
 * Which faults come when: decided by the seed alone, before anything starts. Families take turns and within a family its kinds,
 * so that few faults are of many sorts, and every kind is injected when there are at least as many faults as kinds.
 *
 * @throws UsageError when no kind is left
 */
export function makePlan(options: ChaosOptions): Plan {
  const random = new Random(`plan ${options.seed}`);
  const wanted = catalogueOf(options.database).filter(
    ({ name }) =>
      options.only.length === 0 || options.only.some((text) => name.toLowerCase().includes(text.toLowerCase())),
  );
  const impossible = wanted.flatMap((kind) => {
    const why = kind.impossible?.(options);
    return why === undefined ? [] : [{ name: kind.name, why }];
  });
  const possible = wanted.filter((kind) => kind.impossible?.(options) === undefined);
  if (possible.length === 0 && options.faults > 0) {
    const why = impossible.map((kind) => ` (${kind.name}: ${kind.why})`).join('');
    throw new UsageError(
      `No kind of fault is left with --only ${options.only.join(',')}${why}. --list shows them all.`,
    );
  }
  const kinds = choose(possible, options.faults, random);
  const faults = kinds.map((kind, index) => ({
    number: index + 1,
    kind,
    at: ((index + random.next()) / kinds.length) * LAST_BEGINS_AT,
    seed: `fault ${options.seed} ${index}`,
  }));
  const lanes = new Map<string, number>();
  for (const { lane, seconds } of kinds) lanes.set(lane, (lanes.get(lane) ?? 0) + seconds * SLACK);
  return { faults, impossible, seconds: Math.max(0, ...lanes.values()) };
}

/** All kinds once, then all once more …; the last, incomplete round takes from each family in turn. */
function choose(possible: readonly FaultKind[], count: number, random: Random): FaultKind[] {
  const chosen: FaultKind[] = [];
  while (chosen.length < count) {
    const byFamily = new Map<string, FaultKind[]>();
    for (const kind of random.shuffled(possible))
      byFamily.set(kind.family, [...(byFamily.get(kind.family) ?? []), kind]);
    const round: FaultKind[] = [];
    const families = random.shuffled([...byFamily.values()]);
    while (round.length < possible.length) for (const family of families) round.push(...family.splice(0, 1));
    chosen.push(...round.slice(0, count - chosen.length));
  }
  return random.shuffled(chosen);
}
