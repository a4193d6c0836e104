import { nameOf, rowsOf } from './plan';
import { KNOWN, MARIADB, MYSQL, POSTGRES, RABBITMQ } from './versions';

describe('the rows of the matrix', () => {
  it('are, when nothing is asked for, what is here and each version of each axis by itself', () => {
    const rows = rowsOf({});
    expect(rows).toHaveLength(1 + Object.values(KNOWN).flat().length);
    expect(rows[0]).toEqual({});
    expect(rows).toContainEqual({ rabbitmq: '4.3' });
    expect(rows).toContainEqual({ postgres: '13' });
  });

  it('are the one that is asked for', () => {
    expect(rowsOf({ rabbitmq: '4.0', postgres: '17' })).toEqual([{ rabbitmq: '4.0', postgres: '17' }]);
  });

  it('have Nest 12 on a Node that Jest can load it on, unless another one is asked for', () => {
    expect(rowsOf({ nest: '12' })).toEqual([{ node: '24', nest: '12' }]);
    expect(rowsOf({ nest: '12', node: '26' })).toEqual([{ nest: '12', node: '26' }]);
    expect(rowsOf({ nest: '11.0' })).toEqual([{ nest: '11.0' }]);
  });

  it('are named by what is exchanged', () => {
    expect(nameOf({})).toBe('as it is here');
    expect(nameOf({ rabbitmq: '4.3', postgres: '18' })).toBe('RabbitMQ 4.3, PostgreSQL 18');
  });
});

describe('the versions of the matrix', () => {
  it('are those of the image that has them', () => {
    for (const [version, { image }] of Object.entries(RABBITMQ)) expect(image).toBe(`rabbitmq:${version}-management`);
    for (const [version, { image }] of Object.entries(MARIADB)) expect(image).toBe(`mariadb:${version}`);
    for (const [version, { image }] of Object.entries(MYSQL)) expect(image).toBe(`mysql:${version}`);
  });

  it('are those of the package that has them', () => {
    for (const [version, exact] of Object.entries(POSTGRES))
      expect(exact).toMatch(new RegExp(`^${version}\\.\\d+\\.0-`));
  });
});
