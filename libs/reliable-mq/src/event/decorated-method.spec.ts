import { Readable } from 'node:stream';
import { defer, EMPTY, from, interval, of, Subscription, take, throwError } from 'rxjs';
import { type DecoratorOf, settled, whyNeverRuns } from './decorated-method';

class Methods {
  async promised(): Promise<void> {}
  *walked(): Generator<number> {
    yield 1;
  }
  async *walkedLater(): AsyncGenerator<number> {
    yield 1;
  }
}
const { promised, walked, walkedLater } = Methods.prototype;

describe('what a decorated method came to', () => {
  it.each([
    ['nothing', undefined, undefined],
    ['a value', 7, 7],
    ['a list', [1], [1]],
    ['a promise', Promise.resolve('kept'), 'kept'],
    ['an Observable', of(1, 2, 3), 3],
    ['an Observable that is promised', Promise.resolve(interval(1).pipe(take(2))), 1],
    ['an Observable that completes without a value', EMPTY, undefined],
  ])('is the end of %s', async (_what, result, end) => {
    await expect(settled(result, 'Orders#cancel')).resolves.toEqual(end);
  });

  it('runs an Observable that does nothing until somebody listens', async () => {
    const done: string[] = [];
    await settled(
      defer(() => from(Promise.resolve().then(() => done.push('cancelled')))),
      'Orders#cancel',
    );
    expect(done).toEqual(['cancelled']);
  });

  it('fails as the promise or the Observable does', async () => {
    await expect(settled(Promise.reject(new Error('rejected')), 'Orders#cancel')).rejects.toThrow('rejected');
    const failing = throwError(() => new Error('errored'));
    await expect(settled(failing, 'Orders#cancel')).rejects.toThrow('errored');
  });

  it('leaves none unheard of a list of promises that fail', async () => {
    const begun = ['a', 'b'].map(() => Promise.reject(new Error('unheard')));
    await expect(settled(begun, 'Orders#cancel')).rejects.toThrow('returned a list of promises');
  });

  it.each<[string, unknown]>([
    ['an iterator', walked()],
    ['an async iterator', walkedLater()],
    ['an async iterator', Promise.resolve(walkedLater())],
    ['a stream', Readable.from(['a'])],
    ['a stream that is no Observable of RxJS', { subscribe: () => undefined }],
    ['a subscription', new Subscription()],
    ['a function', () => undefined],
    ['a list of promises (see Promise.all)', [Promise.resolve()]],
    ['a list of promises (see Promise.all)', Promise.resolve([undefined, of(1)])],
  ])('is refused when it is %s, which nobody can await', async (what, result) => {
    await expect(settled(result, 'Orders#cancel')).rejects.toThrow(
      `Orders#cancel returned ${what}, whose end cannot be awaited: what it was to do is not done.`,
    );
  });
});

describe('a method that never runs', () => {
  it('is a generator, also one behind a proxy', () => {
    expect(whyNeverRuns(promised)).toBeUndefined();
    for (const method of [walked, walkedLater, new Proxy(walkedLater, {})])
      expect(whyNeverRuns(method)).toContain('it is a generator');
  });
});

describe('the type of a decorator', () => {
  class Event {
    readonly orderId!: string;
  }
  const decorate: DecoratorOf<[event: Event, attempt: number]> = () => undefined;

  it('accepts what can be called with its arguments and awaited, and refuses what cannot', () => {
    class Accepted {
      @decorate async both(_: Event, attempt: number): Promise<number> {
        return attempt;
      }
      @decorate none(): void {}
      @decorate structural(_: { readonly orderId: string }): boolean {
        return true;
      }
      @decorate either(_: Event | string): unknown {
        return of(1);
      }
      @decorate throws(): never {
        throw new Error('always');
      }
      @decorate async lists(): Promise<string[]> {
        return ['a'];
      }
      @decorate streams() {
        return of(1, 2);
      }
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a method that was written without types
      @decorate untyped(..._: any[]): any {}
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what a query returns
      @decorate async rows(): Promise<any[]> {
        return [];
      }
      @decorate async empty() {
        return [];
      }
    }
    class Refused {
      // @ts-expect-error -- another event
      @decorate async wrongEvent(_: { readonly sku: string }): Promise<void> {}
      // @ts-expect-error -- another second parameter
      @decorate async wrongSecond(_: Event, __: string): Promise<void> {}
      // @ts-expect-error -- more parameters than there are arguments
      @decorate async tooMany(_: Event, __: number, ___: string): Promise<void> {}
      // @ts-expect-error -- nothing of it would run
      @decorate *walked(): Generator<number> {
        yield 1;
      }
      // @ts-expect-error -- nothing of it would run
      @decorate async *walkedLater(): AsyncGenerator<number> {
        yield 1;
      }
      // @ts-expect-error -- nobody would wait for them
      @decorate begun() {
        return [1, 2].map(() => Promise.resolve());
      }
      // @ts-expect-error -- nobody would wait for them
      @decorate async begunLater() {
        return [1, 2].map(() => Promise.resolve());
      }
      // @ts-expect-error -- nobody would know when it ends
      @decorate subscribed(): Subscription {
        return of(1).subscribe();
      }
    }
    expect([Accepted.name, Refused.name]).toEqual(['Accepted', 'Refused']);
  });
});
