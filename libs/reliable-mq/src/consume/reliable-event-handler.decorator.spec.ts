import { of } from 'rxjs';
import type { BatchContext, EventContext } from './event-context';
import { handlersOf, ReliableEventHandler } from './reliable-event-handler.decorator';

class OrderPlaced {
  readonly orderId!: string;
}
class OrderCancelled {
  readonly reason!: string;
}
const BATCH = { batch: { size: 10 } };

describe('@ReliableEventHandler', () => {
  it('is for methods that take the event, and may take its context', () => {
    class Accepted {
      @ReliableEventHandler(OrderPlaced) async event(_: OrderPlaced): Promise<void> {}
      @ReliableEventHandler(OrderPlaced) async both(_: OrderPlaced, __: EventContext): Promise<void> {}
      @ReliableEventHandler(OrderPlaced, { prefetch: 5 }) none(): void {}
      @ReliableEventHandler(OrderPlaced) streams(_: OrderPlaced) {
        return of(1);
      }
      @ReliableEventHandler(OrderPlaced)
      @ReliableEventHandler(OrderCancelled)
      async either(_: OrderPlaced | OrderCancelled): Promise<void> {}
      @ReliableEventHandler(OrderPlaced, BATCH) async batch(_: OrderPlaced[], __: BatchContext): Promise<void> {}
      @ReliableEventHandler(OrderPlaced, BATCH) async readonlyBatch(_: readonly OrderPlaced[]): Promise<void> {}
    }
    expect(handlersOf(Accepted.prototype.either).map(({ eventClass }) => eventClass)).toEqual([
      OrderCancelled,
      OrderPlaced,
    ]);
  });

  it('does not compile on methods that would get something else', () => {
    class Refused {
      // @ts-expect-error -- another event
      @ReliableEventHandler(OrderPlaced) async wrongEvent(_: OrderCancelled): Promise<void> {}
      // @ts-expect-error -- the context comes second
      @ReliableEventHandler(OrderPlaced) async wrongOrder(_: EventContext, __: OrderPlaced): Promise<void> {}
      // @ts-expect-error -- the context of a batch
      @ReliableEventHandler(OrderPlaced) async batchContext(_: OrderPlaced, __: BatchContext): Promise<void> {}
      // @ts-expect-error -- an array without `batch`
      @ReliableEventHandler(OrderPlaced) async arrayWithoutBatch(_: OrderPlaced[]): Promise<void> {}
      // @ts-expect-error -- more than there is
      @ReliableEventHandler(OrderPlaced) async tooMany(_: OrderPlaced, __: EventContext, ___: string): Promise<void> {}
      // @ts-expect-error -- a batch is an array
      @ReliableEventHandler(OrderPlaced, BATCH) async single(_: OrderPlaced): Promise<void> {}
      // @ts-expect-error -- a batch of another event
      @ReliableEventHandler(OrderPlaced, BATCH) async wrongBatch(_: OrderCancelled[]): Promise<void> {}
      // @ts-expect-error -- the context of one event
      @ReliableEventHandler(OrderPlaced, BATCH) async eventContext(_: OrderPlaced[], __: EventContext): Promise<void> {}
      // @ts-expect-error -- nothing of it would run
      @ReliableEventHandler(OrderPlaced) *walked(_: OrderPlaced): Generator<number> {
        yield 1;
      }
    }
    expect(Refused.name).toBe('Refused');
  });
});
