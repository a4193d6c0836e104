import { monotonicMs, pause } from './clock';
import { FaultMissed, type World } from './faults/fault';
import type { Plan, PlannedFault } from './plan';
import { Random } from './random';

/** What a fault waits for may not come while others are going on: it is tried again at once. */
const ATTEMPTS = 3;

export interface InjectedFault {
  readonly number: number;
  readonly name: string;
  readonly family: string;
  readonly beganAt: number;
  endedAt: number | undefined;
  /** What was done; or why it was not. */
  detail: string;
  missed: boolean;
}

/** Carries out a plan: each fault at its time, those of one lane one after the other. */
export class Injector {
  readonly injected: InjectedFault[] = [];
  private readonly lanes = new Map<string, Promise<void>>();

  constructor(
    private readonly plan: Plan,
    private readonly world: World,
  ) {}

  get current(): readonly string[] {
    return this.injected.filter(({ endedAt }) => endedAt === undefined).map(({ name }) => name);
  }

  /** Resolves when the last fault is over. */
  async run(loadSeconds: number): Promise<void> {
    const start = monotonicMs();
    const running: Promise<void>[] = [];
    for (const fault of [...this.plan.faults].sort((a, b) => a.at - b.at)) {
      const beginsAt = start + fault.at * loadSeconds * 1_000;
      await pause(Math.max(0, beginsAt - monotonicMs()));
      const before = this.lanes.get(fault.kind.lane) ?? Promise.resolve();
      const work = before.then(() => this.inject(fault));
      this.lanes.set(fault.kind.lane, work);
      running.push(work);
    }
    await Promise.all(running);
  }

  private async inject({ number, kind, seed }: PlannedFault): Promise<void> {
    const { name, family } = kind;
    const fault: InjectedFault = {
      number,
      name,
      family,
      beganAt: monotonicMs(),
      endedAt: undefined,
      detail: '',
      missed: false,
    };
    this.injected.push(fault);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      try {
        fault.detail = await kind.inject(this.world, new Random(attempt === 1 ? seed : `${seed} ${attempt}`));
        fault.missed = false;
        break;
      } catch (error) {
        fault.missed = true;
        fault.detail = error instanceof FaultMissed ? error.message : `could not be injected: ${String(error)}`;
      }
    }
    fault.endedAt = monotonicMs();
  }
}
