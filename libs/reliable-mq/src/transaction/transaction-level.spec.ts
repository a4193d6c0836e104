import { deferred } from '../../../../test/support/deferred';
import { TransactionBusyError, TransactionEndedError } from '../event/errors';
import { TransactionLevel } from './transaction-level';

const outermost = (): TransactionLevel => new TransactionLevel(undefined, false);

describe('a level', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  it('takes nothing more when its end is decided, and waits for what was begun', async () => {
    const level = outermost();
    const statement = deferred();
    const sent = level.run(() => statement.promise);
    level.decideEnd('rollback');
    expect(() => level.assertOpen('A statement was begun')).toThrow(TransactionEndedError);
    let isSettled = false;
    const settled = level.settled()?.then(() => (isSettled = true));
    await jest.advanceTimersByTimeAsync(0);
    expect(isSettled).toBe(false);
    statement.resolve();
    await sent;
    await settled;
  });

  it('lets a joined function finish when a commit was decided, and not when a rollback was', async () => {
    const level = outermost();
    const [work, joining] = [deferred(), { isRunning: true }];
    const joined = level.joinWith(joining, () => work.promise);
    level.decideEnd('commit');
    expect(level.takes(joining)).toBe(true);
    expect(level.takes()).toBe(false);
    level.decideEnd('rollback');
    expect(level.takes(joining)).toBe(false);
    work.resolve();
    await joined;
  });

  it('keeps the failure of an event whose recording its end waited for', async () => {
    const level = outermost();
    const recording = deferred();
    const recorded = level.trackRecording(recording.promise);
    level.decideEnd('commit');
    recording.reject(new Error('invalid'));
    await expect(recorded).rejects.toThrow('invalid');
    expect(level.failure).toEqual({ error: new Error('invalid') });
  });

  it('lets statements wait while a nested transaction is open, and one nested transaction for the other', async () => {
    const level = outermost();
    const order: string[] = [];
    const [first, second] = [new TransactionLevel(level, false), new TransactionLevel(level, false)];
    expect(level.nest(first)).toBeUndefined();
    const statement = level.run(async () => order.push('statement'));
    const turn = level.nest(second)?.then(() => order.push('second'));
    await jest.advanceTimersByTimeAsync(0);
    expect(order).toEqual([]);
    level.unnest(first);
    await statement;
    await turn;
    expect(order).toEqual(['statement', 'second']);
    expect(level.inner).toBe(second);
  });

  it('refuses a statement that waits too long for a nested transaction', async () => {
    const level = outermost();
    void level.nest(new TransactionLevel(level, false));
    const refused = expect(level.run(() => Promise.resolve())).rejects.toThrow(TransactionBusyError);
    await jest.advanceTimersByTimeAsync(10_000);
    await refused;
  });

  it('refuses a nested transaction that waits for its turn when the end is decided', async () => {
    const level = outermost();
    void level.nest(new TransactionLevel(level, false));
    const refused = expect(level.nest(new TransactionLevel(level, false))).rejects.toThrow(TransactionEndedError);
    level.decideEnd('rollback');
    await refused;
  });
});
