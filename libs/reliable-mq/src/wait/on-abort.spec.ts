import { onAbort } from './on-abort';

describe('onAbort', () => {
  it('calls each listener once, the same function twice if it was given twice, and none that was removed', () => {
    const controller = new AbortController();
    const called: string[] = [];
    const twice = (): void => void called.push('twice');
    onAbort(controller.signal, twice);
    onAbort(controller.signal, twice);
    const remove = onAbort(controller.signal, () => void called.push('removed'));
    remove();
    controller.abort();
    expect(called).toEqual(['twice', 'twice']);
  });

  it('calls at once when the signal is aborted already', () => {
    const listener = jest.fn();
    onAbort(AbortSignal.abort(), listener);
    expect(listener).toHaveBeenCalledTimes(1);
  });
});
