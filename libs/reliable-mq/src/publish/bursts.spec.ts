import { Bursts } from './bursts';

describe('Bursts', () => {
  it('remember no more than the last moment, also of a backlog that never waits', () => {
    const clock = jest.spyOn(performance, 'now');
    try {
      const bursts = new Bursts(() => undefined);
      for (let ms = 0; ms < 10_000; ms += 1) {
        clock.mockReturnValue(ms);
        expect(bursts.mayGo(1_000)).toBe(true);
        bursts.begin();
        bursts.confirmed(bursts.add());
        bursts.end();
      }
      expect((bursts as unknown as { readonly recent: readonly unknown[] }).recent.length).toBeLessThanOrEqual(10);
    } finally {
      clock.mockRestore();
    }
  });
});
