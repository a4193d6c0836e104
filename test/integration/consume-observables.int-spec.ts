import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EventContext, ReliableEventHandler } from 'nestjs-reliable-mq';
import { concat, concatMap, defer, delay, Observable, of, throwError } from 'rxjs';
import { Repository } from 'typeorm';
import { eventually } from '../support/eventually';
import { Consuming, Effect, NoteTaken } from './consume-harness';

const TIMEOUT_MS = 300;

/** Gives back what the test says. */
@Injectable()
class StreamingHandler {
  readonly attempts: { readonly eventId: string; readonly attempt: number }[] = [];
  stream: (context: EventContext) => Observable<unknown> | Promise<Observable<unknown>> = () => of(undefined);

  constructor(@InjectRepository(Effect) private readonly effects: Repository<Effect>) {}

  @ReliableEventHandler(NoteTaken)
  take(_: NoteTaken, context: EventContext): Observable<unknown> | Promise<Observable<unknown>> {
    this.attempts.push(context);
    return this.stream(context);
  }

  write({ eventId }: EventContext, note: string): Observable<unknown> {
    return defer(() => this.effects.insert({ eventId, note }));
  }
}

describe('a handler that returns an Observable', () => {
  let consuming: Consuming;
  let handler: StreamingHandler;

  beforeAll(async () => {
    consuming = await Consuming.start({
      providers: [StreamingHandler],
      reliableMq: { consume: { timeoutMs: TIMEOUT_MS } },
    });
    handler = consuming.app.get(StreamingHandler);
  });
  afterAll(() => consuming.dispose());

  const attemptsOf = (eventId: string): number[] =>
    handler.attempts.filter((each) => each.eventId === eventId).map(({ attempt }) => attempt);

  const WAYS: readonly [string, <T>(stream: Observable<T>) => Observable<T> | Promise<Observable<T>>][] = [
    ['itself', (stream) => stream],
    ['by a promise', (stream) => Promise.resolve(stream)],
  ];

  describe.each(WAYS)('%s', (_way, given) => {
    it('is handled, in its transaction, when that has come to its last value', async () => {
      handler.stream = (context) =>
        given(of('first', 'second', 'last').pipe(concatMap((note) => handler.write(context, note).pipe(delay(10)))));
      const id = consuming.send('streams');
      await consuming.settled(id, 'handled');
      await expect(consuming.notes(id)).resolves.toEqual(['first', 'last', 'second']);
      expect(attemptsOf(id)).toEqual([1]);
    });

    it('has failed when that fails, and nothing of it is left', async () => {
      handler.stream = (context) =>
        given(
          context.attempt > 1
            ? handler.write(context, 'again')
            : concat(
                handler.write(context, 'halfway'),
                throwError(() => new Error('the stream broke')),
              ),
        );
      const id = consuming.send('breaks');
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({
        attempts: 2,
        history: [{ attempt: 1, reason: expect.stringContaining('the stream broke') as string }],
      });
      await expect(consuming.notes(id)).resolves.toEqual(['again']);
    });

    it('is cut off and unsubscribed from when that does not end in time', async () => {
      let isSubscribed: boolean | undefined;
      const never = new Observable<never>(() => {
        isSubscribed = true;
        return () => (isSubscribed = false);
      });
      handler.stream = (context) =>
        given(context.attempt > 1 ? of('ends') : concat(handler.write(context, 'halfway'), never));
      const id = consuming.send('never ends');
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({
        attempts: 2,
        history: [{ attempt: 1, reason: expect.stringContaining(`within ${TIMEOUT_MS} ms`) as string }],
      });
      await expect(consuming.notes(id)).resolves.toEqual([]);
      await eventually(() => expect(isSubscribed).toBe(false));
    });
  });

  it('does not begin what is promised after it was cut off', async () => {
    let subscriptions = 0;
    let giveLate: () => void = () => undefined;
    const late = new Promise<void>((resolve) => (giveLate = resolve));
    const counted = new Observable<never>(() => void (subscriptions += 1));
    handler.stream = ({ attempt }) => (attempt > 1 ? of(1) : late.then(() => counted));
    const id = consuming.send('comes late');
    await consuming.settled(id, 'handled');
    giveLate();
    // A whole handling later it would have begun.
    handler.stream = () => of(1);
    await consuming.settled(consuming.send('another'), 'handled');
    expect(subscriptions).toBe(0);
  });
});
