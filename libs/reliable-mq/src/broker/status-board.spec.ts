import { StatusBoard } from './status-board';
import type { TransportStatus } from './transport';

describe('StatusBoard', () => {
  it('tells each listener each change, and the same status once', () => {
    const board = new StatusBoard({ available: false, reason: 'new' }, fail);
    const seen: TransportStatus[] = [];
    const stop = board.listen((status) => seen.push(status));

    board.set({ available: false, reason: 'new' });
    board.set({ available: true });
    board.set({ available: true });
    board.set({ available: true, reason: 'a queue is not consumed' });
    stop();
    board.set({ available: true });

    expect(seen).toEqual([{ available: true }, { available: true, reason: 'a queue is not consumed' }]);
    expect(board.current).toEqual({ available: true });
  });

  it('registers one function twice as two listeners', () => {
    const board = new StatusBoard({ available: false }, fail);
    const listener = jest.fn();
    const stop = board.listen(listener);
    board.listen(listener);
    stop();
    board.set({ available: true });
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('hands on what a listener throws, and calls the others', () => {
    const errors: unknown[] = [];
    const board = new StatusBoard({ available: false }, (error) => errors.push(error));
    const other = jest.fn();
    board.listen(() => {
      throw new Error('a bug');
    });
    board.listen(other);

    board.set({ available: true });

    expect(errors).toEqual([new Error('a bug')]);
    expect(other).toHaveBeenCalledWith({ available: true });
  });

  function fail(error: unknown): never {
    throw error;
  }
});
