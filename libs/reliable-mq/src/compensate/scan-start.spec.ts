import { ScanStart } from './scan-start';

describe('ScanStart', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('begins at the start of the index as long as nobody has been anywhere', () => {
    const start = new ScanStart<number>();
    expect(start.next()).toBeUndefined();
    start.tookFromStart(10_000);
    start.tookFromStart(10_000);
    expect(start.next()).toBeUndefined();
  });

  it('begins at the start while that takes no more than a fiftieth of the time', () => {
    const start = new ScanStart<number>();
    start.reached(7);
    for (let run = 0; run < 5; run += 1) {
      expect(start.next()).toBeUndefined();
      start.tookFromStart(190);
      jest.advanceTimersByTime(10_000);
    }
  });

  it('begins where it has been once two scans from the start were slow, and at the start again after fifty times as long', () => {
    const start = new ScanStart<number>();
    start.reached(7);
    start.tookFromStart(3000);
    expect(start.next()).toBeUndefined();
    start.tookFromStart(2000);
    jest.advanceTimersByTime(99_999);
    expect(start.next()).toBe(7);
    jest.advanceTimersByTime(1);
    expect(start.next()).toBeUndefined();
  });

  it('takes one slow scan between quick ones for a hiccup', () => {
    const start = new ScanStart<number>();
    start.reached(7);
    for (const tookMs of [3, 30_000, 3]) {
      start.tookFromStart(tookMs);
      jest.advanceTimersByTime(150);
      expect(start.next()).toBeUndefined();
    }
  });

  it('looks from the start every five minutes, however long that takes', () => {
    const start = new ScanStart<number>();
    start.reached(7);
    start.tookFromStart(60_000);
    start.tookFromStart(60_000);
    jest.advanceTimersByTime(299_999);
    expect(start.next()).toBe(7);
    jest.advanceTimersByTime(1);
    expect(start.next()).toBeUndefined();
  });

  it('does not go back to what a scan from the start has found before its position', () => {
    const start = new ScanStart<string>();
    start.reached('b');
    start.reached('a');
    start.tookFromStart(1000);
    start.tookFromStart(1000);
    expect(start.next()).toBe('b');
  });
});
