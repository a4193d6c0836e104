import { bulkOfEvents, bulkOfHandlings } from './bulk';

describe('an operation on all that match', () => {
  it.each([
    [{}, []],
    [{ status: 'consumed', needPerson: 'true' }, []],
    [{ status: 'dead' }, ['redrive', 'archive', 'discard']],
    [{ needPerson: 'true' }, ['redrive', 'archive', 'discard']],
    [{ fingerprint: 'f1' }, ['redrive', 'archive', 'discard']],
    [{ status: 'dead', olderThan: '60' }, []],
    [{ status: 'dead', overdue: 'true' }, []],
  ])('of events with %j can be %j', (params, operations) => {
    expect(bulkOfEvents(params).operations).toEqual(operations);
  });

  it('has the list’s filter, and neither its page nor its database', () => {
    const params = {
      status: 'dead',
      type: 'a',
      archived: 'true',
      key: 'true',
      source: 'order',
      before: 'x',
      limit: '5',
    };
    expect(bulkOfEvents(params).filter).toEqual({ type: 'a', archived: true, key: 'true' });
  });

  it('is refused for every filter that it cannot hold: it would change more than is shown', () => {
    expect(bulkOfEvents({ status: 'dead', olderThan: '60', later: 'x' }).refused).toEqual(['olderThan', 'later']);
    expect(bulkOfHandlings({ status: 'dead', eventId: 'x' })).toMatchObject({ operations: [], refused: ['eventId'] });
  });

  it.each([
    [{}, []],
    [{ status: 'handled' }, []],
    [{ status: 'waiting' }, []],
    [{ status: 'handled', fingerprint: 'f1' }, []],
    [{ status: 'failed' }, ['retry']],
    [{ status: 'rejected' }, ['retry']],
    [{ fingerprint: 'f1' }, ['retry']],
  ])('of handlings with %j can be %j', (params, operations) => {
    expect(bulkOfHandlings(params).operations).toEqual(operations);
  });
});
