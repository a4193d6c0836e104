import { askingJobParts, claimedEvent } from './asking-jobs.fixture';

describe('PublishDueJob: when it is not known how full queues are', () => {
  const never = claimedEvent('a', { publishedAgoMs: null });

  it('asks three times in a run of a broker that does not answer, and publishes what it has claimed', async () => {
    const { publishDue, set, stop, asked, fates } = askingJobParts([never, claimedEvent('b'), claimedEvent('c')]);
    await publishDue().run(set, () => undefined, stop.signal);
    expect(asked).toEqual(['stock.type b', 'mail.type b', 'stock.type c']);
    expect(fates).toEqual(['a submitted', 'b submitted', 'c submitted']);
  });

  it.each([
    ['the process stops', false],
    ['the broker goes away', true],
  ])('asks nothing more once %s, and drops nothing that it has claimed', async (_what, goesAway) => {
    const { publishDue, set, stop, broker, asked, fates } = askingJobParts([
      never,
      claimedEvent('b'),
      claimedEvent('c'),
    ]);
    broker.answer = () => {
      if (goesAway) broker.available = false;
      else stop.abort();
      return { messages: 5, consumers: 1 };
    };
    await publishDue().run(set, () => undefined, stop.signal);
    expect(asked).toEqual(['stock.type b']);
    expect(fates).toEqual(['a submitted', 'b submitted', 'c submitted']);
  });
});
