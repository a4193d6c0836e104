import { WarningDigest } from './warning-digest';

const REFUSED = { type: 'order.created', reason: 'the broker refused the message (basic.nack)' };

describe('WarningDigest', () => {
  const said: Record<string, unknown>[] = [];
  const digest = new WarningDigest((details) => said.push(details), 1000);

  beforeEach(() => {
    jest.useFakeTimers();
    said.length = 0;
  });

  afterEach(() => {
    digest.flush();
    jest.useRealTimers();
  });

  it('tells of the first event at once, and of the others of the same type and reason in one line', () => {
    for (let number = 1; number <= 1000; number += 1) digest.add(`id-${number}`, REFUSED, { attempt: 3 });
    expect(said).toEqual([{ eventId: 'id-1', ...REFUSED, attempt: 3 }]);
    jest.advanceTimersByTime(1000);
    const eventIds = Array.from({ length: 10 }, (_, index) => `id-${index + 2}`);
    expect(said.slice(1)).toEqual([{ ...REFUSED, count: 999, eventIds }]);
  });

  it('goes on summing up while it goes on, and begins anew after a quiet moment', () => {
    digest.add('a', REFUSED, {});
    digest.add('b', REFUSED, {});
    jest.advanceTimersByTime(1000);
    digest.add('c', REFUSED, {});
    jest.advanceTimersByTime(1000);
    expect(said.map(({ eventId, eventIds }) => eventId ?? eventIds)).toEqual(['a', ['b'], ['c']]);
    jest.advanceTimersByTime(1000);
    digest.add('d', REFUSED, {});
    expect(said.at(-1)).toEqual({ eventId: 'd', ...REFUSED });
  });

  it('keeps types and reasons apart', () => {
    digest.add('a', REFUSED, {});
    digest.add('b', { ...REFUSED, reason: 'no queue is bound' }, {});
    digest.add('c', { ...REFUSED, type: 'order.paid' }, {});
    expect(said.map(({ eventId }) => eventId)).toEqual(['a', 'b', 'c']);
  });

  it('says what is left when it is asked to', () => {
    digest.add('a', REFUSED, {});
    digest.add('b', REFUSED, {});
    digest.flush();
    expect(said.at(-1)).toEqual({ ...REFUSED, count: 1, eventIds: ['b'] });
  });
});
