import { invalidKey, keyOfHeader } from './event-key';

describe('the key of an event', () => {
  it.each([['order-1'], ['订单 1'], ['x'.repeat(200)], [null], [undefined]])('may be %j', (key) => {
    expect(invalidKey(key)).toEqual([]);
  });

  it.each<[unknown, string]>([
    ['', 'must not be empty: return undefined for an event that has no key'],
    [7, "must be a string, such as an order's number, not a value of type number"],
    [{}, "must be a string, such as an order's number, not a value of type object"],
    ['x'.repeat(201), '201 characters, more than 200: people search by it, and it is indexed'],
    ['a\u0000', 'holds a NUL character or half a surrogate pair, which databases refuse'],
    ['\ud800', 'holds a NUL character or half a surrogate pair, which databases refuse'],
  ])('is refused: %j', (key, problem) => {
    expect(invalidKey(key)).toEqual([{ property: 'key', problems: [problem] }]);
  });

  it.each<[unknown, string | null]>([
    ['order-1', 'order-1'],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['x'.repeat(201), null],
    ['', null],
    ['a\u0000', null],
    ['\ud800', null],
    [7, null],
    [undefined, null],
  ])('of a message that says %j is %j', (header, key) => {
    expect(keyOfHeader(header)).toBe(key);
  });
});
