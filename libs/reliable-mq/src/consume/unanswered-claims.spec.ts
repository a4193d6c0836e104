import { Logger } from '@nestjs/common';
import { DatabaseDeadlineError, NoConnectionError } from '../database/port';
import type { InboxStore } from '../inbox/inbox.store';
import { UnansweredClaims } from './unanswered-claims';

const LEASE_MS = 60_000;
/** Longer than what must be between two looks. */
const PAUSE_MS = 10_000;

describe('UnansweredClaims', () => {
  let warnings: unknown[];

  beforeEach(() => {
    warnings = [];
    Logger.overrideLogger({ log: () => undefined, error: () => undefined, warn: (message) => warnings.push(message) });
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
    Logger.overrideLogger(false);
  });

  /** Claims on a store that finds so many rows each time, or fails, and keeps which tokens were looked for. */
  function scripted(...answers: (number | Error)[]) {
    const looks: string[] = [];
    const releaseClaim: InboxStore['releaseClaim'] = (token) => {
      looks.push(token);
      const answer = answers.shift() ?? 0;
      return typeof answer === 'number' ? Promise.resolve(answer) : Promise.reject(answer);
    };
    const claims = new UnansweredClaims({ name: 'default', inbox: { releaseClaim } as InboxStore });
    const lose = (token: string, error: Error = new DatabaseDeadlineError('no answer')): void =>
      claims.afterFailure(token, LEASE_MS, error);
    const lookLater = async (afterMs = PAUSE_MS): Promise<void> => {
      jest.advanceTimersByTime(afterMs);
      await claims.giveBack();
    };
    return { claims, lose, lookLater, looks };
  }

  it('are looked for until they are found', async () => {
    const { lose, lookLater, looks } = scripted(0, 1);
    lose('a');
    await lookLater();
    await lookLater();
    await lookLater();
    expect(looks).toEqual(['a', 'a']);
  });

  it('are looked for at once, and then only every few seconds, however often that is asked', async () => {
    const { claims, lose, lookLater, looks } = scripted();
    lose('a');
    for (let times = 0; times < 100; times += 1) await claims.giveBack();
    lose('b');
    await claims.giveBack();
    expect(looks).toEqual(['a']);
    await lookLater();
    expect(looks).toEqual(['a', 'a', 'b']);
  });

  it('are looked for once more when their leases are over, and forgotten, found or not', async () => {
    const { lose, lookLater, looks } = scripted();
    lose('a');
    lose('b');
    await lookLater(LEASE_MS);
    await lookLater();
    expect(looks).toEqual(['a', 'b']);
  });

  it('are not insisted on when the look fails: that is said, and they are forgotten when their leases are over', async () => {
    const failure = new DatabaseDeadlineError('the database did not answer within 30000 ms');
    const { lose, lookLater, looks } = scripted(failure, failure);
    lose('a');
    lose('b');
    await lookLater();
    expect(warnings).toHaveLength(1);
    await lookLater(LEASE_MS);
    await lookLater();
    expect(looks).toEqual(['a', 'a']);
    expect(warnings).toHaveLength(2);
  });

  it('are none when no statement was sent, or the database refused it', async () => {
    const { lose, lookLater, looks } = scripted();
    lose('a', new NoConnectionError('no database connection: connect ECONNREFUSED'));
    lose('b', new Error('permission denied'));
    await lookLater();
    expect(looks).toEqual([]);
  });
});
