import { ActionRate } from './action-rate';

describe('the rate of actions', () => {
  function at(perMinute: number): { readonly rate: ActionRate; readonly pass: (ms: number) => void } {
    let nowMs = 0;
    return { rate: new ActionRate(perMinute, () => nowMs), pass: (ms) => (nowMs += ms) };
  }

  it('lets so many through at once, and then so many a minute', () => {
    const { rate, pass } = at(6);
    const take = (): number => Array.from({ length: 10 }, () => rate.take('anna')).filter(Boolean).length;
    expect(take()).toBe(6);
    pass(20_000);
    expect(take()).toBe(2);
    pass(3_600_000);
    expect(take()).toBe(6);
    expect(rate.take('bert')).toBe(true);
  });

  it('remembers a bounded number of people, and forgets who acted longest ago', () => {
    const { rate } = at(1);
    rate.take('first');
    for (let person = 0; person < 5000; person += 1) rate.take(`person ${person}`);
    expect(rate.remembered).toBe(1000);
    expect(rate.take('person 4999')).toBe(false);
    expect(rate.take('first')).toBe(true);
  });
});
