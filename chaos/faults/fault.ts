import type { Landscape } from '../landscape';
import type { Load } from '../load';
import type { ChaosOptions } from '../options';
import type { Random } from '../random';

export type Family = 'process' | 'step' | 'rabbitmq' | 'postgres' | 'mariadb' | 'network' | 'message' | 'handler';

/** What a fault can reach. */
export interface World {
  readonly landscape: Landscape;
  readonly load: Load;
  readonly options: ChaosOptions;
}

export interface FaultKind {
  readonly name: string;
  readonly family: Family;
  /** Faults of one lane come one after the other; those of different lanes meet. */
  readonly lane: string;
  /** About how long it takes: for the plan. */
  readonly seconds: number;
  /** Why it can't be injected here; undefined when it can. */
  readonly impossible?: (options: ChaosOptions) => string | undefined;
  /**
   * Breaks something, and puts it right again: resolves when it is over.
   *
   * @returns what was done
   * @throws FaultMissed when it turned out that it could not be done
   */
  inject(world: World, random: Random): Promise<string>;
}

/** The fault was not injected: the moment for it did not come. */
export class FaultMissed extends Error {}
