import { parseOptions } from './options';

const parse = (text: string): ReturnType<typeof parseOptions> =>
  parseOptions(text.split(' ').filter((word) => word !== ''));

describe('the options of the harness', () => {
  it('have defaults', () => {
    expect(parse('')).toMatchObject({
      scenario: 'faults',
      orders: 2_000,
      faults: 80,
      seed: 1,
      instances: 2,
      cluster: false,
      database: 'postgres',
    });
  });

  it('are read in both forms', () => {
    expect(parse('--orders 20000 --seed=7 --cluster --json --database mariadb')).toMatchObject({
      database: 'mariadb',
      orders: 20_000,
      seed: 7,
      cluster: true,
      json: true,
    });
  });

  it('ask for help', () => {
    expect(parse('--orders 5 --help')).toBeUndefined();
  });

  it.each([
    ['--orders 0', '--orders needs a whole number from 1 to 1000000, got "0".'],
    ['--orders', '--orders needs a whole number from 1 to 1000000, got nothing.'],
    ['--instances 9', '--instances needs a whole number from 1 to 8, got "9".'],
    ['--rate fast', '--rate needs a whole number from 1 to 1000, got "fast".'],
    ['--report --json', '--report needs the name of a file.'],
    ['--database oracle', '--database needs postgres or mariadb, got "oracle".'],
    ['--scenario flood', '--scenario needs faults or memory, got "flood".'],
    ['--scenario memory --faults 3', '--scenario memory has one fault'],
    ['--scenario memory --only broker', 'leave out --faults, --only, --cluster and --orders.'],
    ['--order 5', 'Unknown option "--order".'],
  ])('refuse %s', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  it('tell all problems at once', () => {
    expect(() => parse('--faults -1 --seed x')).toThrow(/--faults.*\n--seed/);
  });
});
