import {
  problemsOfEventFilter,
  problemsOfEventIds,
  problemsOfInboxFilter,
  problemsOfInboxKeys,
  problemsOfRedriveOptions,
  problemsOfScope,
} from './operation-input';

const ID = '01900000-0000-7000-8000-000000000000';

describe('what EventOperations is asked for', () => {
  it('is taken when it can be meant', () => {
    expect(problemsOfEventFilter({ status: 'dead', type: 'a', overdue: false, before: ID, limit: 1000 })).toEqual([]);
    expect(problemsOfEventFilter({ status: undefined, limit: undefined })).toEqual([]);
    expect(problemsOfEventFilter(Object.assign(Object.create(null), { status: 'pending' }))).toEqual([]);
    expect(
      problemsOfInboxFilter({ status: 'rejected', consumer: 'a', type: 'b', eventId: 'any text', limit: 1 }),
    ).toEqual([]);
    expect(problemsOfEventIds([ID, ID.toUpperCase()], 'redrive')).toEqual([]);
    expect(problemsOfInboxKeys([{ eventId: 'any text', consumer: 'a', status: 'dead' }])).toEqual([]);
    expect(problemsOfScope({ dataSource: 'a' })).toEqual([]);
    expect(problemsOfRedriveOptions({ dataSource: 'a', evenIfCompensated: true })).toEqual([]);
  });

  it.each([
    [{ limit: '20' }, 'limit must be a whole number from 1, not "20".'],
    [{ limit: 0 }, 'limit must be a whole number from 1, not 0.'],
    [{ type: 'a\u0000' }, 'type holds a NUL character or half a surrogate pair, which no stored text does.'],
    [{ type: '\ud800' }, 'type holds a NUL character or half a surrogate pair, which no stored text does.'],
    [{ limit: NaN }, 'limit must be a whole number from 1, not NaN.'],
    [{ limit: null }, 'limit must be a whole number from 1, not null.'],
    [{ overdue: 'false' }, 'overdue must be true or false, not "false".'],
    [{ type: '' }, 'type must be a text, not "".'],
    [{ type: ['a', 'b'] }, 'type must be a text, not an array.'],
    [{ status: 'toString' }, 'status "toString" is unknown. There are pending, published, consumed, dead.'],
    [
      { toString: 1 },
      'filter "toString" is unknown. There are status, type, key, causationId, needPerson, overdue, before, limit.',
    ],
    [
      'dead',
      'The filters must be an object with status, type, key, causationId, needPerson, overdue, before, limit, not "dead".',
    ],
    [
      null,
      'The filters must be an object with status, type, key, causationId, needPerson, overdue, before, limit, not null.',
    ],
  ])('is refused as a filter: %j', (filter, problem) => {
    expect(problemsOfEventFilter(filter)).toEqual([problem]);
  });

  it.each([
    'x',
    '',
    7,
    Buffer.from('["a"]').toString('base64url'),
    Buffer.from('["a","b","c","d"]').toString('base64url'),
  ])('is refused as the cursor of a page of the inbox: %j', (before) => {
    expect(problemsOfInboxFilter({ before })).toEqual([
      expect.stringContaining('before must be the cursor of a record that listInbox returned, not'),
    ]);
  });

  it('is refused with every problem at once', () => {
    expect(problemsOfEventFilter({ status: 'x', limit: 0, stauts: 'dead' })).toHaveLength(3);
  });

  it('is refused where an option that would be dangerous is not plainly true or false', () => {
    expect(problemsOfRedriveOptions({ evenIfCompensated: 'false' })).toEqual([
      'evenIfCompensated must be true or false, not "false".',
    ]);
  });

  it('is refused as ids, some of which are shown', () => {
    expect(problemsOfEventIds(['a', ID, 5, 'c', 'd', 'e', 'f'], 'redrive')).toEqual([
      'eventIds holds what is no event id (a UUID, as record and list return it): "a", 5, "c", "d", "e" and 1 more.',
    ]);
    expect(problemsOfEventIds(undefined, 'redrive')).toEqual([
      'eventIds must be an array of event ids: redrive([id]).',
    ]);
  });

  it.each([
    ['an id', 'keys must be an array: retryInbox([{ eventId, consumer }]).'],
    [['an id'], 'keys[0] must be { eventId, consumer }, both with text; eventId is undefined.'],
    [[null], 'keys[0] must be { eventId, consumer }, both with text; eventId is undefined.'],
    [[{ eventId: 'a', consumer: '' }], 'keys[0] must be { eventId, consumer }, both with text; consumer is "".'],
  ])('is refused as keys of the inbox: %j', (keys, problem) => {
    expect(problemsOfInboxKeys(keys)).toEqual([problem]);
  });
});
