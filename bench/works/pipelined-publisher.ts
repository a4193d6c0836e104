import type { ConfirmChannel } from 'amqplib';

/** Persistent, mandatory messages with confirms, so many under way at once. */
export class PipelinedPublisher {
  private unconfirmed = 0;
  private wake: (() => void) | undefined;
  private failure: Error | undefined;

  constructor(
    private readonly channel: ConfirmChannel,
    private readonly exchange: string,
    private readonly window: number,
  ) {
    channel.on('return', () => (this.failure = new Error('a message was returned')));
  }

  async publish(type: string, id: string, json: string): Promise<void> {
    if (this.unconfirmed >= this.window) await this.below(this.window);
    this.unconfirmed += 1;
    this.channel.publish(
      this.exchange,
      type,
      Buffer.from(json),
      { persistent: true, mandatory: true, contentType: 'application/json', messageId: id, type },
      (error: unknown) => {
        if (error) this.failure = new Error('the broker refused a message', { cause: error });
        this.unconfirmed -= 1;
        this.wake?.();
      },
    );
  }

  /** Resolves when the broker has all. */
  async confirmed(): Promise<void> {
    await this.below(1);
    if (this.failure) throw this.failure;
  }

  private async below(limit: number): Promise<void> {
    while (this.unconfirmed >= limit) await new Promise<void>((resolve) => (this.wake = resolve));
  }
}
