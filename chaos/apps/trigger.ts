/** What the harness tells an app: die or freeze when a step of an event's way is reached. */
export interface Trigger {
  /** Name of a hook of the library. */
  readonly step: string;
  /** Only when the hook's argument, as JSON, contains this. */
  readonly where?: string;
  /** At its so-manieth time from now on. */
  readonly nth: number;
  /** Turns of the event loop later; 0: inside the hook. A message handed to the socket leaves a turn later. */
  readonly turns: number;
  readonly action: 'SIGKILL' | 'SIGSTOP';
}

/** To an app: be ready for it, or be so no longer. */
export type ArmMessage = { readonly arm: Trigger } | { readonly disarm: Trigger };

export function sameTrigger(one: Trigger, other: Trigger): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** From an app, right before it does so. */
export interface FiredMessage {
  readonly fired: Trigger;
}
