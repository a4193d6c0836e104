import { Logger } from '@nestjs/common';
import type { DatabaseGate } from '../database/database-gate';
import { HookRunner } from '../event/hook-runner';
import type { StoreSet } from '../database/stores';
import { OutcomeWriter } from './outcome-writer';

const SET = { name: 'default' } as StoreSet;

function writer(stop: AbortSignal): OutcomeWriter {
  Logger.overrideLogger(false);
  const hooks = new HookRunner({}, () => undefined);
  return new OutcomeWriter(
    () => ({}) as DatabaseGate,
    hooks,
    () => undefined,
    stop,
  );
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
