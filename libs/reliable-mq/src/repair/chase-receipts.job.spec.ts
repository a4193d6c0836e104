import { askingJobParts, claimedEvent, MAX_ATTEMPTS } from './asking-jobs.fixture';
import { ChaseReceiptsJob } from './chase-receipts.job';

describe('ChaseReceiptsJob: when it is not known how full queues are', () => {
  const last = { attempts: MAX_ATTEMPTS + 1 };
  const notKnown = 'postponed: its consumer may be behind: how many messages wait in its queue is not known';

  it('asks three times in a run of a broker that does not answer, and publishes what it has claimed', async () => {
    const { parts, set, stop, asked, fates } = askingJobParts([
      claimedEvent('a'),
      claimedEvent('b'),
      claimedEvent('c'),
    ]);
    await new ChaseReceiptsJob(...parts).run(set, () => undefined, stop.signal);
    expect(asked).toEqual(['stock.type a', 'mail.type a', 'stock.type b']);
    expect(fates).toEqual(['a submitted', 'b submitted', 'c submitted']);
  });

  it.each([
    ['the process stops', false],
    ['the broker goes away', true],
  ])('asks nothing more once %s, and drops nothing that it has claimed', async (_what, goesAway) => {
    const { parts, set, stop, broker, asked, fates } = askingJobParts([claimedEvent('a'), claimedEvent('b')]);
    broker.answer = () => {
      if (goesAway) broker.available = false;
      else stop.abort();
      return { messages: 5, consumers: 1 };
    };
    await new ChaseReceiptsJob(...parts).run(set, () => undefined, stop.signal);
    expect(asked).toEqual(['stock.type a']);
    expect(fates).toEqual(['a submitted', 'b submitted']);
  });

  it('gives no event up that may still wait, until its patience ends', async () => {
    const over = claimedEvent('c', { ...last, publishedAgoMs: 100_000_000 });
    const { parts, set, stop, fates } = askingJobParts([claimedEvent('a', last), claimedEvent('b', last), over]);
    await new ChaseReceiptsJob(...parts).run(set, () => undefined, stop.signal);
    expect(fates).toEqual([`a ${notKnown}`, `b ${notKnown}`, 'c dead']);
  });
});
