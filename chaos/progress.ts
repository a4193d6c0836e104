import { monotonicMs } from './clock';

const EVERY_MS = 1_000;

/** Says what happens, one line a second. */
export class Progress {
  private readonly start = monotonicMs();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly out: NodeJS.WritableStream) {}

  say(text: string): void {
    const seconds = Math.round((monotonicMs() - this.start) / 1_000);
    this.out.write(`${String(seconds).padStart(5)} s  ${text}\n`);
  }

  watch(line: () => string): void {
    this.stop();
    this.timer = setInterval(() => this.say(line()), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
