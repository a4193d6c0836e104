import { isObservable, Observable } from 'rxjs';
import type { BatchContext, EventContext } from './event-context';

/** An Observable that a handler has returned, unsubscribed from when the attempt is cut off; anything else as it is. */
export function untilCutOff(result: unknown, context: Pick<EventContext | BatchContext, 'signal'>): unknown {
  if (!isObservable(result)) return result;
  return new Observable((subscriber) => {
    const subscription = result.subscribe(subscriber);
    const { signal } = context;
    const stop = (): void => subscription.unsubscribe();
    signal.addEventListener('abort', stop, { once: true });
    return () => {
      signal.removeEventListener('abort', stop);
      stop();
    };
  });
}
