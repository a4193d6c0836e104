import { WarningDigest } from './warning-digest';

const REFUSED = { type: 'order.created', reason: 'the broker refused the message (basic.nack)' };

describe('WarningDigest', () => {
  const said: Record<string, unknown>[] = [];
  let digest: WarningDigest;

  beforeEach(() => {
    jest.useFakeTimers();
    said.length = 0;
    digest = new WarningDigest((details) => said.push(details));
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

  it('says ever less while it goes on, and leaves none out', () => {
    for (let second = 0; second < 3600; second += 1) {
      digest.add(`id-${second}`, REFUSED, {});
      jest.advanceTimersByTime(1000);
    }
    digest.flush();
    expect(said.length).toBeLessThan(7);
    expect(said.reduce((sum, { count = 1 }) => sum + (count as number), 0)).toBe(3600);
  });

  it('tells at once of what comes after a quiet time', () => {
    digest.add('a', REFUSED, {});
    digest.add('b', REFUSED, {});
    jest.advanceTimersByTime(1000);
    expect(said.at(-1)).toMatchObject({ eventIds: ['b'] });
    jest.advanceTimersByTime(121_000);
    digest.add('c', REFUSED, {});
    expect(said.slice(2)).toEqual([{ eventId: 'c', ...REFUSED }]);
  });

  it('keeps types and reasons apart', () => {
    digest.add('a', REFUSED, {});
    digest.add('b', { ...REFUSED, reason: 'no queue is bound' }, {});
    digest.add('c', { ...REFUSED, type: 'order.paid' }, {});
    expect(said.map(({ eventId }) => eventId)).toEqual(['a', 'b', 'c']);
  });

  it('remembers a bounded number of reasons', () => {
    for (let number = 0; number < 1000; number += 1)
      digest.add(`id-${number}`, { ...REFUSED, reason: `${number}` }, {});
    expect(said).toHaveLength(101);
    jest.advanceTimersByTime(1000);
    expect(said.at(-1)).toMatchObject({ type: 'order.created', count: 899 });
  });

  it('says what is left when it is asked to', () => {
    digest.add('a', REFUSED, {});
    digest.add('b', REFUSED, {});
    digest.flush();
    expect(said.at(-1)).toEqual({ ...REFUSED, count: 1, eventIds: ['b'] });
  });
});
