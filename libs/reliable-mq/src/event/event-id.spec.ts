import { isUuid, newEventId } from './event-id';

describe('an event id', () => {
  afterEach(() => jest.useRealTimers());

  const timeOf = (id: string): number => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);

  it('is a UUID of version 7 with the time of its making', () => {
    const before = Date.now();
    const id = newEventId();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(isUuid(id)).toBe(true);
    expect(timeOf(id)).toBeGreaterThanOrEqual(before);
  });

  it('is greater than every one before, within a millisecond and across milliseconds', () => {
    const ids = Array.from({ length: 20_000 }, () => newEventId());
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
  });

  it('is greater than the ones before when the clock stands still or is set back', () => {
    const now = Date.now() + 60_000;
    jest.useFakeTimers({ now });
    const ids = Array.from({ length: 10_000 }, () => newEventId());
    jest.setSystemTime(now - 3_600_000);
    ids.push(newEventId());
    jest.setSystemTime(now + 1000);
    ids.push(newEventId());
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
    expect(timeOf(ids.at(-1) ?? '')).toBe(now + 1000);
  });

  it('has 62 random bits beside its order', () => {
    const tails = Array.from({ length: 1000 }, () => newEventId().slice(19));
    expect(new Set(tails).size).toBe(1000);
    expect(new Set(tails.map((tail) => tail[0]))).toEqual(new Set(['8', '9', 'a', 'b']));
  });
});

describe('isUuid', () => {
  it.each(['0190a5f0-1234-7abc-8def-0123456789ab', '0190A5F0-1234-7ABC-8DEF-0123456789AB'])('takes %s', (text) => {
    expect(isUuid(text)).toBe(true);
  });

  it.each([
    '',
    'x',
    '0190a5f0-1234-7abc-8def-0123456789a',
    ' 0190a5f0-1234-7abc-8def-0123456789ab',
    '0190a5f012347abc8def0123456789ab',
  ])('refuses %j', (text) => {
    expect(isUuid(text)).toBe(false);
  });
});
