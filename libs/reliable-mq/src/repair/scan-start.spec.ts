import { ScanStart } from './scan-start';

describe('ScanStart', () => {
  let start: ScanStart<number>;

  beforeEach(() => {
    jest.useFakeTimers();
    start = new ScanStart(1);
  });
  afterEach(() => jest.useRealTimers());

  async function interrupted(tookMs: number): Promise<void> {
    await start.fromStart(() => {
      jest.advanceTimersByTime(tookMs);
      return Promise.resolve();
    });
  }

  async function fromStart(tookMs: number): Promise<void> {
    await interrupted(tookMs);
    start.finished();
  }

  async function failing(tookMs: number): Promise<void> {
    const timedOut = start.fromStart(() => {
      jest.advanceTimersByTime(tookMs);
      return Promise.reject(new Error('the database did not answer'));
    });
    await expect(timedOut).rejects.toThrow('did not answer');
  }

  it('begins at the start while that takes no more than a fiftieth of the time', async () => {
    start.reached(7);
    for (let run = 0; run < 5; run += 1) {
      expect(start.next()).toBeUndefined();
      await fromStart(200);
      jest.advanceTimersByTime(10_000);
    }
    await fromStart(201);
    await fromStart(201);
    jest.advanceTimersByTime(10_000);
    expect(start.next()).toBe(7);
  });

  it('begins where it has been once two scans from the start were slow, and at the start again after fifty times as long', async () => {
    start.reached(7);
    await fromStart(3000);
    expect(start.next()).toBeUndefined();
    await fromStart(2000);
    jest.advanceTimersByTime(99_999);
    expect(start.next()).toBe(7);
    jest.advanceTimersByTime(1);
    expect(start.next()).toBeUndefined();
  });

  it('takes one slow scan between quick ones for a hiccup', async () => {
    start.reached(7);
    for (const tookMs of [3, 30_000, 3]) {
      await fromStart(tookMs);
      jest.advanceTimersByTime(150);
      expect(start.next()).toBeUndefined();
    }
  });

  it('looks from the start every five minutes, however long that takes', async () => {
    start.reached(7);
    await fromStart(20_000);
    await fromStart(20_000);
    jest.advanceTimersByTime(299_999);
    expect(start.next()).toBe(7);
    jest.advanceTimersByTime(1);
    expect(start.next()).toBeUndefined();
  });

  it('lets runs begin elsewhere when a scan from the start takes longer than a statement may, wherever they have been', async () => {
    await failing(30_000);
    expect(start.next()).toBeUndefined();
    await failing(30_000);
    expect(start.next()).toBe(1);
  });

  it('begins at the start again when a run from there was interrupted', async () => {
    await fromStart(2000);
    await interrupted(2000);
    expect(start.next()).toBeUndefined();
    start.finished();
    expect(start.next()).toBe(1);
  });

  it('does not go back to what a scan from the start has found before its position', async () => {
    start.reached(7);
    start.reached(5);
    await fromStart(1000);
    await fromStart(1000);
    expect(start.next()).toBe(7);
  });
});
