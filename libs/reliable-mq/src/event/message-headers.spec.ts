import { HEADER, invalidHeaders } from './message-headers';

describe('headers of an application', () => {
  it('may be texts, numbers and booleans', () => {
    expect(invalidHeaders({})).toEqual([]);
    expect(invalidHeaders({ 'trace-id': 'abc 😀', x_1: 1.5, 'a.b': false, empty: '', ['n'.repeat(100)]: 0 })).toEqual(
      [],
    );
  });

  it('are refused one by one, each with its name', () => {
    const invalid = invalidHeaders({ ok: 'ok', big: 1n, list: [1], missing: undefined, ä: 1, ['n'.repeat(101)]: 1 });
    expect(invalid.map(({ property }) => property)).toEqual([
      'headers.big',
      'headers.list',
      'headers.missing',
      'headers.ä',
      `headers.${'n'.repeat(101)}`,
    ]);
  });

  it.each(Object.values(HEADER))('may not be the library’s: %s', (name) => {
    expect(invalidHeaders({ [name]: 1 })).toEqual([
      { property: `headers.${name}`, problems: ['names beginning with "reliable-mq-" are reserved'] },
    ]);
  });

  it('have room for 8192 bytes each and 32768 in all', () => {
    expect(invalidHeaders({ a: 'é'.repeat(4096) })).toEqual([]);
    expect(invalidHeaders({ a: 'é'.repeat(4097) })).toHaveLength(1);
    const many = Object.fromEntries(Array.from({ length: 4 }, (_, index) => [`h${index}`, 'a'.repeat(8192)]));
    expect(invalidHeaders(many)).toEqual([
      { property: 'headers', problems: [expect.stringContaining('more than 32768 in all') as string] },
    ]);
  });
});
