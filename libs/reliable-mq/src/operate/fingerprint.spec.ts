import { fingerprintOf } from './fingerprint';

describe('the fingerprint of a failure', () => {
  it.each([
    [
      'QueryFailedError: duplicate key value violates unique constraint "PK_1": Key (id)=(7) already exists.',
      'QueryFailedError: duplicate key value violates unique constraint <text>: Key (id)=(<n>) already exists.',
    ],
    [
      "Error: order 01900000-0000-7000-8000-000000000001 isn't there at 12:30:01.5, 'mug' wanted",
      "Error: order <id> isn't there at <n>, <text> wanted",
    ],
    ['Error: connect ECONNREFUSED 10.0.0.7:5432', 'Error: connect ECONNREFUSED <n>'],
    ['Error: token 3f2a9c81bd77 has expired\n  twice', 'Error: token <id> has expired twice'],
    ['Error: feedbacked', 'Error: feedbacked'],
    [null, 'no reason given'],
  ])('of %j is made of %j', (reason, text) => {
    expect(fingerprintOf(reason)).toEqual({ id: expect.stringMatching(/^[0-9a-f]{12}$/) as string, text });
  });

  it('tells places apart, and lines of a place not', () => {
    const of = (where?: string): string => fingerprintOf('Error: order 7 is bad', where).id;
    expect(of('Stock.deduct (stock.ts:41)')).toBe(of('Stock.deduct (stock.ts:50)'));
    expect(of('Stock.deduct (stock.ts:41)')).not.toBe(of('Stock.restock (stock.ts:41)'));
    expect(of()).toBe(fingerprintOf('Error: order 8 is bad').id);
    expect(of()).not.toBe(of('Stock.deduct (stock.ts:41)'));
  });

  it('is the same for one kind, and another one for another class', () => {
    const of = (reason: string): string => fingerprintOf(reason).id;
    expect(of('TypeError: order 7 is bad')).toBe(of('TypeError: order 12345 is bad'));
    expect(of('TypeError: order 7 is bad')).not.toBe(of('RangeError: order 7 is bad'));
  });
});
