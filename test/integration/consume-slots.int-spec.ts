import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import { type EventContext, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { Consuming } from './consume-harness';

@ReliableEvent({ type: 'call.made' })
class CallMade {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'letter.sent' })
class LetterSent {
  @IsString() text!: string;
}

/** Handlers whose calls the test ends. */
@Injectable()
class Switchboard {
  isDown = true;
  mostCalls = 0;
  readonly calls = new Map<string, number>();
  readonly letters: string[] = [];
  hold: Promise<void> | undefined;
  private running = 0;

  @ReliableEventHandler(CallMade, { prefetch: 2, maxAttempts: 100, backoff: { initialMs: 10, maxMs: 10, jitter: 0 } })
  async call(_: CallMade, { eventId, attempt }: EventContext): Promise<void> {
    this.running += 1;
    this.mostCalls = Math.max(this.mostCalls, this.running);
    this.calls.set(eventId, attempt);
    try {
      await new Promise((resolve) => setImmediate(resolve));
      if (!this.isDown || attempt > 1) await this.hold;
      if (this.isDown) throw new Error('429 Too Many Requests');
    } finally {
      this.running -= 1;
    }
  }

  @ReliableEventHandler(LetterSent, { backoff: { initialMs: 10, maxMs: 10, jitter: 0 } })
  letter({ text }: LetterSent, { attempt }: EventContext): void {
    if (attempt === 1) throw new Error('not yet');
    this.letters.push(text);
  }
}

describe('prefetch', () => {
  let consuming: Consuming;

  beforeEach(async () => {
    consuming = await Consuming.start({ entities: [], providers: [Switchboard], poolSize: 20 });
  });
  afterEach(() => consuming.dispose());

  const failed = async (): Promise<number> =>
    (await consuming.inbox()).filter(({ status, attempts }) => status === 'failed' && attempts >= 1).length;

  it('bounds how often a handler runs at once, first attempts and retries together', async () => {
    const board = consuming.app.get(Switchboard);
    const ids = Array.from({ length: 20 }, (_, index) => consuming.send(`call ${index}`, { type: 'call.made' }));
    await eventually(async () => expect(await failed()).toBe(20));
    ids.push(...Array.from({ length: 10 }, (_, index) => consuming.send(`fresh ${index}`, { type: 'call.made' })));
    board.isDown = false;
    for (const id of ids) await consuming.settled(id, 'handled');
    expect(board.mostCalls).toBe(2);
  });

  it('of one type does not hold up the retries of another', async () => {
    const board = consuming.app.get(Switchboard);
    const mayEnd = deferred();
    board.hold = mayEnd.promise;
    const calls = Array.from({ length: 50 }, (_, index) => consuming.send(`call ${index}`, { type: 'call.made' }));
    // All slots of its queue are taken by retries that do not end.
    await eventually(() => expect([...board.calls.values()].filter((attempt) => attempt > 1)).toHaveLength(2));
    const letter = consuming.send('letter', { type: 'letter.sent' });
    await consuming.settled(letter, 'handled');
    expect(board.letters).toEqual(['letter']);
    board.isDown = false;
    mayEnd.resolve();
    for (const id of calls) await consuming.settled(id, 'handled');
    expect(board.mostCalls).toBe(2);
  });

  it('lets retries have their turn while the broker has always something to deliver', async () => {
    const board = consuming.app.get(Switchboard);
    const retried = consuming.send('first', { type: 'call.made' });
    await eventually(async () => expect(await failed()).toBe(1));
    board.isDown = false;
    let sent = 0;
    const stream = setInterval(() => {
      while (consuming.waiting('desk.call.made') < 10) consuming.send(`stream ${(sent += 1)}`, { type: 'call.made' });
    }, 1);
    try {
      await consuming.settled(retried, 'handled');
    } finally {
      clearInterval(stream);
    }
  });
});
