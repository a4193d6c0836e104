import { runInNewContext } from 'node:vm';
import type { InvalidProperty } from './errors';
import { serializePayload } from './serialize-payload';

const invalidOf = (payload: unknown): readonly InvalidProperty[] => {
  const result = serializePayload(payload);
  return 'invalid' in result ? result.invalid : [];
};
const problemOf = (payload: unknown): string =>
  invalidOf(payload)
    .map(({ property, problems }) => `${property}: ${problems.join(', ')}`)
    .join('; ');

describe('a payload as JSON', () => {
  it.each<[unknown, string]>([
    [{}, '{}'],
    [{ a: 1, b: 'x', c: true, d: null, e: undefined }, '{"a":1,"b":"x","c":true,"d":null}'],
    [{ list: [1, [2], { a: [] }] }, '{"list":[1,[2],{"a":[]}]}'],
    [{ at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    [{ money: { toJSON: () => '1.50 EUR' } }, '{"money":"1.50 EUR"}'],
    [{ url: new URL('https://a.example/b') }, '{"url":"https://a.example/b"}'],
    [Object.create(null), '{}'],
    [{ [Symbol('hidden')]: 1n }, '{}'],
    [{ twice: [1, 2].map((_, __, all) => all) }, '{"twice":[[1,2],[1,2]]}'],
  ])('%j', (payload, json) => {
    expect(serializePayload(payload)).toEqual({ json });
  });

  it('may have one object in several places, as long as none contains itself', () => {
    const shared = { a: 1 };
    expect(serializePayload({ x: shared, y: [shared, shared] })).toEqual({
      json: '{"x":{"a":1},"y":[{"a":1},{"a":1}]}',
    });
  });

  it.each<[string, unknown, string]>([
    ['a toJSON that gives nothing', { toJSON: () => undefined }, '(payload): has no JSON'],
    ['nothing', undefined, '(payload): has no JSON'],
    ['a toJSON that gives NaN', { a: { toJSON: () => NaN } }, 'a: NaN is not a JSON number'],
    [
      'a toJSON that throws',
      {
        toJSON: () => {
          throw new Error('no');
        },
      },
      "(payload): can't be read: Error: no",
    ],
    [
      'a getter that throws',
      {
        get a(): never {
          throw new Error('no');
        },
      },
      "(payload): can't be read: Error: no",
    ],
    [
      'a hole',
      { list: Array(2) },
      'list[0]: undefined in an array would become null; list[1]: undefined in an array would become null',
    ],
    [
      'a class instance that contains itself',
      (() => {
        const node: { next?: object } = {};
        node.next = { back: node };
        return node;
      })(),
      'next.back: is circular: it contains itself',
    ],
    ['a typed array', { bytes: new Uint8Array(2) }, 'bytes: is binary; send it as a base64 string'],
    ['an array buffer', { bytes: new ArrayBuffer(2) }, 'bytes: is binary; send it as a base64 string'],
    ['a bigint as the payload', 1n, '(payload): a bigint is not JSON; send it as a string'],
  ])('is refused: %s', (_, payload, problem) => {
    expect(problemOf(payload)).toBe(problem);
  });

  it('is refused by what an object is, not by whose realm its class comes from', () => {
    for (const foreign of [
      'new Map()',
      'new Set()',
      'new Date(NaN)',
      'Promise.resolve()',
      '/a/',
      'new Error("e")',
      'new ArrayBuffer(1)',
    ]) {
      expect(invalidOf({ foreign: runInNewContext(foreign) as unknown }).map(({ property }) => property)).toEqual([
        'foreign',
      ]);
    }
  });

  it('is refused when it is nested so deeply that parsers would fail', () => {
    const nested = (levels: number): object =>
      Array.from({ length: levels }).reduce<object>((inner) => ({ inner }), {});
    expect('json' in serializePayload(nested(499))).toBe(true);
    expect(problemOf(nested(500))).toMatch(/is nested deeper than 500 levels$/);
    expect(problemOf(nested(100_000))).toMatch(/is nested deeper than 500 levels$/);
  });

  it('is refused for texts that no database can give back, in values and names', () => {
    expect(problemOf({ a: ['ok', 'x\u0000'], 'b\udc00': '\ud83d' })).toMatch(
      /^a\[1\]: holds a NUL.*; b\udc00: its name holds a NUL.*; b\udc00: holds a NUL/,
    );
  });
});
