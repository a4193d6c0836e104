import { Logger } from '@nestjs/common';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import type { StoreSet } from '../database/stores';
import { OutcomeWriter } from './outcome-writer';

const SET = { name: 'default' } as StoreSet;

function writer(stop: AbortSignal): OutcomeWriter {
  Logger.overrideLogger(false);
  return new OutcomeWriter(new HookRunner([]), new Wakeups(), stop);
}

describe('OutcomeWriter, when the process is stopping', () => {
  it('begins no statement', async () => {
    const statement = jest.fn(() => Promise.resolve('written'));
    await expect(writer(AbortSignal.abort()).persist(SET, statement)).resolves.toBeUndefined();
    expect(statement).not.toHaveBeenCalled();
  });

  it('tries what is owed once', async () => {
    const statement = jest.fn(() => Promise.resolve('written'));
    await expect(writer(AbortSignal.abort()).persist(SET, statement, true)).resolves.toBe('written');
    statement.mockClear();
    statement.mockRejectedValue(new Error('refused'));
    await expect(writer(AbortSignal.abort()).persist(SET, statement, true)).resolves.toBeUndefined();
    expect(statement).toHaveBeenCalledTimes(1);
  });
});
