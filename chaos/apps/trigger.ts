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

/** To an app. */
export interface ArmMessage {
  readonly arm: Trigger;
}

/** From an app, right before it does so. */
export interface FiredMessage {
  readonly fired: Trigger;
}
