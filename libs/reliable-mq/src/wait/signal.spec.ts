import { Signal } from './signal';

describe('Signal', () => {
  it('lets all go on who wait for it, and nobody who waits from then on', async () => {
    const signal = new Signal();
    signal.give();
    const wentOn: string[] = [];
    const first = signal.next().then(() => wentOn.push('first'));
    const second = signal.next().then(() => wentOn.push('second'));
    signal.give();
    const third = signal.next().then(() => wentOn.push('third'));
    await Promise.all([first, second]);
    expect(wentOn).toEqual(['first', 'second']);
    signal.give();
    await third;
  });
});
