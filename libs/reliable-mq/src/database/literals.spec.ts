import { literal } from './literals';

describe('literal', () => {
  it.each([
    ['text', `'text'`],
    [`it's`, `'it''s'`],
    [`'; DROP TABLE orders; --`, `'''; DROP TABLE orders; --'`],
    ['a\\b', `E'a\\\\b'`],
    [`\\'; DROP TABLE orders; --`, `E'\\\\''; DROP TABLE orders; --'`],
    ['', `''`],
    ['多', `'多'`],
    [5, '5'],
    [-0.5, '-0.5'],
    [true, 'true'],
    [false, 'false'],
    [null, 'NULL'],
  ])('writes %p as %p', (value, expected) => {
    expect(literal(value)).toBe(expected);
  });

  it.each([Number.NaN, Infinity, 'a\u0000b'])('refuses %p', (value) => {
    expect(() => literal(value)).toThrow(TypeError);
  });
});
