import { askingJobParts, claimedEvent, MAX_ATTEMPTS } from './asking-jobs.fixture';

describe('ChaseReceiptsJob: when it is not known how full queues are', () => {
  const last = { attempts: MAX_ATTEMPTS + 1 };
  const notKnown = 'postponed: its consumer may be behind: how many messages wait in its queue is not known';

  it('asks three times in a run of a broker that does not answer, and publishes what it has claimed', async () => {
    const { chase, set, stop, asked, fates } = askingJobParts([
      claimedEvent('a'),
      claimedEvent('b'),
      claimedEvent('c'),
    ]);
    await chase().run(set, () => undefined, stop.signal);
    expect(asked).toEqual(['stock.type a', 'mail.type a', 'stock.type b']);
    expect(fates).toEqual(['a submitted', 'b submitted', 'c submitted']);
  });

  it.each([
    ['the process stops', false],
    ['the broker goes away', true],
  ])('asks nothing more once %s, and drops nothing that it has claimed', async (_what, goesAway) => {
    const { chase, set, stop, broker, asked, fates } = askingJobParts([claimedEvent('a'), claimedEvent('b')]);
    broker.answer = () => {
      if (goesAway) broker.available = false;
      else stop.abort();
      return { messages: 5, consumers: 1 };
    };
    await chase().run(set, () => undefined, stop.signal);
    expect(asked).toEqual(['stock.type a']);
    expect(fates).toEqual(['a submitted', 'b submitted']);
  });

  it('gives no event up that may still wait, until its patience ends', async () => {
    const over = claimedEvent('c', { ...last, publishedAgoMs: 100_000_000 });
    const { chase, set, stop, fates } = askingJobParts([claimedEvent('a', last), claimedEvent('b', last), over]);
    await chase().run(set, () => undefined, stop.signal);
    expect(fates).toEqual([
      `a ${notKnown}`,
      `b ${notKnown}`,
      expect.stringContaining('c dead: no receipt from stock, mail after publishing 3 times'),
    ]);
  });
});

describe('ChaseReceiptsJob: when nobody consumes a queue', () => {
  it('says so of events that wait in it, and of those that it gives up', async () => {
    const waits = claimedEvent('a', { consumers: ['stock'] });
    const over = claimedEvent('b', { consumers: ['stock'], attempts: MAX_ATTEMPTS + 1, publishedAgoMs: 100_000_000 });
    const { chase, set, stop, broker, fates } = askingJobParts([waits, over]);
    // What the broker has dead-lettered waits for the consumer as well.
    broker.answer = (queue) => ({ messages: queue === 'stock.parked' ? 1 : 4, consumers: 0 });
    const job = chase();
    await job.run(set, () => undefined, stop.signal);
    expect(fates).toEqual([
      'a postponed: nobody consumes queue "stock.type a": 5 messages wait in it or in its parking queue',
      'b dead: no receipt from stock after publishing 3 times; nobody consumes queue "stock.type b"',
    ]);
    expect(job.unattendedQueues).toEqual(['stock.type a', 'stock.type b']);
    broker.answer = () => ({ messages: 5, consumers: 1 });
    await job.run(set, () => undefined, stop.signal);
    expect(job.unattendedQueues).toEqual([]);
  });
});

describe('ChaseReceiptsJob: when no receipt can come', () => {
  const last = { attempts: MAX_ATTEMPTS + 1, publishedAgoMs: 100_000_000 };

  it('is not ready', () => {
    const { chase, receipts } = askingJobParts([]);
    const job = chase();
    expect(job.ready()).toBe(true);
    receipts.problem = 'receipts cannot be received';
    expect(job.ready()).toBe(false);
  });

  it('neither publishes nor gives up what it has claimed before, and counts no attempt', async () => {
    const { chase, set, stop, broker, receipts, fates } = askingJobParts([
      claimedEvent('a'),
      claimedEvent('b'),
      claimedEvent('c', last),
    ]);
    broker.answer = () => {
      receipts.problem = 'receipts cannot be received';
      return { messages: 0, consumers: 1 };
    };
    await chase().run(set, () => undefined, stop.signal);
    expect(fates).toEqual(['a', 'b', 'c'].map((id) => `${id} postponed: receipts cannot be received`));
  });

  it('gives an event one attempt more whose receipt may have been lost meanwhile', async () => {
    const { chase, set, stop, receipts, fates } = askingJobParts([
      claimedEvent('a', { ...last, publishedAgoMs: 60_000_000 }),
      claimedEvent('b', last),
    ]);
    receipts.receivesForMs = 90_000_000;
    await chase().run(set, () => undefined, stop.signal);
    expect(fates).toEqual([expect.stringContaining('a dead'), 'b submitted'].sort());
  });
});
