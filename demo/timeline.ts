import type { Hooks } from 'nestjs-reliable-mq';
import type { Narrator } from './narrator';
import type { ServiceName } from './shop';

/** Tells the steps of one order's events while they happen, from the library's hooks. Only while nothing else is on its way. */
export class Timeline {
  private beganAtMs: number | undefined;
  /** Types by event id, for the hooks that only name the id. */
  private readonly types = new Map<string, string>();

  constructor(private readonly narrator: Narrator) {}

  begin(): void {
    this.beganAtMs = performance.now();
  }

  end(): void {
    this.beganAtMs = undefined;
    this.types.clear();
  }

  tell(who: ServiceName, what: string): void {
    if (this.beganAtMs !== undefined) this.narrator.step(performance.now() - this.beganAtMs, who, what);
  }

  hooksOf(service: ServiceName): Partial<Hooks> {
    const tell = (what: string): void => this.tell(service, what);
    return {
      recorded: ({ eventId, type }) => {
        if (this.beganAtMs === undefined) return;
        this.types.set(eventId, type);
        tell(`records ${type} in the same transaction`);
      },
      confirmed: ({ type, outcome, reason }) =>
        tell(
          outcome === 'routed'
            ? `the broker has ${type}: confirmed and routed`
            : `the broker does not have ${type}: ${reason ?? outcome}`,
        ),
      handling: ({ type, attempt }) => tell(`handles ${type}${attempt > 1 ? `, attempt ${attempt}` : ''}`),
      handled: ({ type }) => tell(`has handled ${type}, with its inbox row`),
      handlingFailed: ({ reason, retryInMs }) =>
        tell(`fails: ${withoutName(reason)}${retryInMs === null ? '' : `; again in ${retryInMs} ms`}`),
      consumed: ({ eventId }) => tell(`gets the receipt: ${this.types.get(eventId) ?? 'the event'} is consumed`),
      dead: ({ type, reason }) => tell(`gets the receipt: ${type} is dead (${withoutName(reason)})`),
      compensated: ({ type }) => tell(`has run its compensation handler of ${type}`),
    };
  }
}

/** `QueryFailedError: text` → `text` */
function withoutName(reason: string): string {
  return reason.replace(/\b\w*Error: /g, '');
}
