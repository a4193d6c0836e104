import { Logger } from '@nestjs/common';
import type { ConsumerGroup } from './consumer-group';
import type { HandlerRegistry } from './handler-registry';
import { DatabaseDeadlineError, DatabaseUnavailableError } from '../database/port';
import type { InboxStore } from '../inbox/inbox.store';
import type { StoreSet } from '../database/stores';
import { RetryFailedJob } from './retry-failed.job';

const TIMEOUT_MS = 30_000;
/** Of a handling: its handler's time and what `handlingLeaseMs` adds. */
const LEASE_OVER_MS = 60_000;
/** Longer than what must be between two looks for a claim. */
const PAUSE_MS = 10_000;

describe('RetryFailedJob: a claim whose answer never came', () => {
  beforeEach(() => {
    Logger.overrideLogger(false);
    jest.useFakeTimers();
  });
  afterEach(() => jest.useRealTimers());

  /** A job with one queue, on a store that does as it is told and keeps the calls. */
  function scripted(claim: () => Promise<never[]>, released: () => number | Error) {
    const calls: string[] = [];
    const inbox: Partial<InboxStore> = {
      hasDueSuspect: () => Promise.resolve(false),
      claim: (_queues, _limit, token) => {
        calls.push(`claim ${token}`);
        return claim();
      },
      releaseClaim: (token) => {
        calls.push(`release ${token}`);
        const result = released();
        return typeof result === 'number' ? Promise.resolve(result) : Promise.reject(result);
      },
    };
    const set = { name: 'default', inbox } as StoreSet;
    const queue = {
      consumer: 'stock',
      type: 'order.created',
      stores: set,
      byVersion: new Map([[1, { timeoutMs: TIMEOUT_MS }]]),
    };
    const handlers = { all: () => [queue] } as unknown as HandlerRegistry;
    const job = new RetryFailedJob(handlers, {} as ConsumerGroup);
    const run = (): Promise<void> => job.run(set, () => undefined, new AbortController().signal);
    return { run, calls };
  }

  it('is given back before anything is claimed again, once it is found', async () => {
    const answers = [() => Promise.reject(new DatabaseUnavailableError('gone')), () => Promise.resolve([])];
    const found = [0, 3];
    const { run, calls } = scripted(
      () => (answers.shift() ?? (() => Promise.resolve([])))(),
      () => found.shift() ?? 0,
    );
    await expect(run()).rejects.toThrow('gone');
    const token = calls[0]?.replace('claim ', '') ?? '';
    await run();
    jest.advanceTimersByTime(PAUSE_MS);
    await run();
    jest.advanceTimersByTime(PAUSE_MS);
    await run();
    const claims = expect.stringMatching(/^claim /) as string;
    expect(calls.slice(1)).toEqual([`release ${token}`, claims, `release ${token}`, claims, claims]);
  });

  it('keeps nothing from being claimed while it cannot be given back, and is forgotten when its lease is over', async () => {
    let isAway = true;
    const { run, calls } = scripted(
      () => (isAway ? Promise.reject(new DatabaseUnavailableError('gone')) : Promise.resolve([])),
      () => new DatabaseDeadlineError('the database did not answer within 30000 ms'),
    );
    await expect(run()).rejects.toThrow('gone');
    isAway = false;
    await run();
    jest.advanceTimersByTime(LEASE_OVER_MS);
    await run();
    jest.advanceTimersByTime(PAUSE_MS);
    await run();
    const [claims, releases] = ['claim', 'release'].map((what) => calls.filter((call) => call.startsWith(what)).length);
    expect({ claims, releases }).toEqual({ claims: 4, releases: 2 });
  });

  it('had no effect when the database refused it', async () => {
    const { run, calls } = scripted(
      () => Promise.reject(new Error('permission denied')),
      () => 0,
    );
    for (let times = 0; times < 2; times += 1) await expect(run()).rejects.toThrow('permission denied');
    expect(calls.filter((call) => call.startsWith('release'))).toEqual([]);
  });
});
