import type { HookRunner } from '../event/hook-runner';

/** What a stopping application still finishes, and what it gives back, from now to `end()`. */
export class StopSummary {
  private readonly startedAtMs = performance.now();
  private readonly finished = { handled: 0, failed: 0, published: 0, compensated: 0 };
  private eventsGivenBack = 0;
  private readonly stopCounting: () => void;

  constructor(hooks: HookRunner) {
    this.stopCounting = hooks.add({
      handled: () => void (this.finished.handled += 1),
      handlingFailed: () => void (this.finished.failed += 1),
      confirmed: ({ outcome }) => void (this.finished.published += outcome === 'routed' ? 1 : 0),
      compensated: () => void (this.finished.compensated += 1),
      deferred: () => void (this.eventsGivenBack += 1),
    });
  }

  /** @param messagesGivenBack whose handlers did not end in time */
  end(messagesGivenBack: number): Record<string, unknown> {
    this.stopCounting();
    return {
      seconds: Math.round((performance.now() - this.startedAtMs) / 100) / 10,
      finished: { ...this.finished },
      givenBack: { messages: messagesGivenBack, events: this.eventsGivenBack },
    };
  }
}
