import { TargetTroubles } from './target-troubles';

const nack = (sentAt: number) => ({ reason: 'nack', isNack: true, sentAt });

describe('TargetTroubles', () => {
  it('tell of a target that is refused for ten seconds, until something of it is confirmed', () => {
    const troubles = new TargetTroubles();
    expect(troubles.note('queue "a"', nack(0), 0)).toEqual({ changed: false, replace: false });
    expect(troubles.note('queue "a"', nack(9_999), 9_999)).toEqual({ changed: false, replace: false });
    expect(troubles.reasons).toEqual([]);

    expect(troubles.note('queue "a"', nack(10_000), 10_000)).toMatchObject({ changed: true });
    expect(troubles.note('queue "a"', nack(10_001), 10_001)).toMatchObject({ changed: false });
    expect(troubles.reasons).toEqual(['queue "a": nack']);
    expect(troubles.clear('queue "b"')).toBe(false);
    expect(troubles.clear('queue "a"')).toBe(true);
    expect([troubles.reasons, troubles.any]).toEqual([[], false]);
  });

  it('ask for another channel after ten seconds, then after twice as long each time, at most every ten minutes', () => {
    const troubles = new TargetTroubles();
    const replacedAt: number[] = [];
    for (let now = 0; now <= 3_000_000; now += 1_000) {
      if (troubles.note('a', nack(now), now).replace) replacedAt.push(now / 1_000);
    }
    expect(replacedAt).toEqual([10, 20, 40, 80, 160, 320, 640, 1_240, 1_840, 2_440]);
  });

  it('tell at once of a message that has waited so long for its confirm, and ask for no other channel', () => {
    const troubles = new TargetTroubles();
    const silence = { reason: 'no confirm', isNack: false, sentAt: 0 };
    expect(troubles.note('a', silence, 10_000)).toEqual({ changed: true, replace: false });
    expect(troubles.note('a', silence, 60_000)).toEqual({ changed: false, replace: false });
    expect(troubles.reasons).toEqual(['a: no confirm']);
  });
});
