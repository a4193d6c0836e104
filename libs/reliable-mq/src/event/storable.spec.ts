import { cutToBytes, isStorableText, storableJson, storableText } from './storable';

describe('a storable text', () => {
  it('is well-formed Unicode without NUL', () => {
    expect(isStorableText('a 😀 \n')).toBe(true);
    expect(isStorableText('a\u0000')).toBe(false);
    expect(isStorableText('\ud83d')).toBe(false);
    expect(storableText('a\u0000b\ud83dc')).toBe('ab\ufffdc');
  });

  it('is cut without cutting a character in two', () => {
    expect(storableText('abc', 2)).toBe('ab');
    expect(isStorableText(storableText('a😀', 2))).toBe(true);
    expect(storableText('a😀', 3)).toBe('a😀');
  });
});

describe('a text cut to bytes', () => {
  it.each([
    ['abc', 3, 'abc'],
    ['abc', 2, 'ab'],
    ['aä', 2, 'a'],
    ['aä', 3, 'aä'],
    ['\ufffd\ufffd', 5, '\ufffd'],
    ['a😀', 4, 'a'],
    ['a😀', 5, 'a😀'],
    ['', 1, ''],
  ])('%j has at most %i bytes as %j', (text, maxBytes, expected) => {
    expect(cutToBytes(text, maxBytes)).toBe(expected);
  });
});

describe('storable JSON', () => {
  it('keeps what JSON has', () => {
    expect(storableJson({ a: [1, 'x', true, null], at: new Date(0), bytes: Buffer.from('ab') })).toBe(
      '{"a":[1,"x",true,null],"at":"1970-01-01T00:00:00.000Z","bytes":"YWI="}',
    );
  });

  it('makes texts of what it has not, whoever made it', () => {
    expect(
      JSON.parse(storableJson({ n: NaN, big: 1n, f: undefined, at: new Date(NaN), 'k\u0000': 'v\ud800' })),
    ).toEqual({
      n: 'NaN',
      big: '1',
      at: null,
      k: 'v\ufffd',
    });
  });

  it('is bounded in depth and width, so that a circular value ends', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    expect(storableJson(circular)).toContain('…');
    expect((JSON.parse(storableJson(Array(1000).fill(1))) as unknown[]).length).toBe(200);
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, index]));
    expect(Object.keys(JSON.parse(storableJson(wide)) as object).length).toBe(200);
  });
});
