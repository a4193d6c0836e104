import { type Evidence, judge } from '../../demo/audit';
import { parseArguments, UsageError } from '../../demo/arguments';
import { makePlan } from '../../demo/plan';

const MUG = { sku: 'mug', quantity: 2 };

/** One confirmed and one failed order, in order. */
function evidence(changes: Partial<Evidence> = {}): Evidence {
  return {
    accepted: new Map([
      ['one', MUG],
      ['two', MUG],
    ]),
    initialStock: new Map([['mug', 3]]),
    orders: [
      { id: 'one', ...MUG, status: 'CONFIRMED' },
      { id: 'two', ...MUG, status: 'FAILED' },
    ],
    deductions: [
      { orderId: 'one', ...MUG, state: 'TAKEN' },
      { orderId: 'two', ...MUG, state: 'REFUSED' },
    ],
    available: new Map([['mug', 1]]),
    ...changes,
  };
}

describe("the demo's audit", () => {
  it('finds nothing where everything agrees', () => {
    expect(judge(evidence())).toEqual({
      confirmed: 1,
      failed: 1,
      lost: 0,
      duplicated: 0,
      balances: [{ sku: 'mug', initial: 3, confirmed: 2, available: 1 }],
      findings: [],
    });
  });

  it.each<[string, Partial<Evidence>, { lost: number; duplicated: number }]>([
    ['an accepted order that is gone', { orders: evidence().orders.slice(0, 1) }, { lost: 1, duplicated: 0 }],
    [
      'an order without an end',
      {
        orders: [
          { id: 'one', ...MUG, status: 'CONFIRMED' },
          { id: 'two', ...MUG, status: 'PENDING' },
        ],
      },
      { lost: 1, duplicated: 0 },
    ],
    [
      'a confirmed order that took nothing',
      { deductions: [], available: new Map([['mug', 3]]) },
      { lost: 1, duplicated: 0 },
    ],
    [
      'a failed order that keeps its stock',
      {
        deductions: [
          { orderId: 'one', ...MUG, state: 'TAKEN' },
          { orderId: 'two', sku: 'mug', quantity: 1, state: 'TAKEN' },
        ],
        available: new Map([['mug', 0]]),
      },
      { lost: 1, duplicated: 0 },
    ],
    ['pieces that went twice', { available: new Map([['mug', 0]]) }, { lost: 0, duplicated: 1 }],
    ['pieces from nowhere', { available: new Map([['mug', 3]]) }, { lost: 2, duplicated: 0 }],
    [
      'an order that nobody placed',
      { orders: [...evidence().orders, { id: 'three', ...MUG, status: 'FAILED' }] },
      { lost: 0, duplicated: 1 },
    ],
    [
      'stock taken for an order that does not exist',
      {
        deductions: [...evidence().deductions, { orderId: 'three', sku: 'mug', quantity: 1, state: 'TAKEN' }],
        available: new Map([['mug', 0]]),
      },
      { lost: 0, duplicated: 1 },
    ],
    [
      'an order that changed on its way',
      {
        accepted: new Map([
          ['one', { sku: 'mug', quantity: 1 }],
          ['two', MUG],
        ]),
      },
      { lost: 1, duplicated: 0 },
    ],
  ])('finds %s', (_, changes, expected) => {
    const verdict = judge(evidence(changes));
    expect(verdict).toMatchObject(expected);
    expect(verdict.findings).toHaveLength(1);
  });
});

describe("the demo's plan", () => {
  it.each([1, 2, 3, 4, 5, 24, 1000])('has %d orders, as asked, and stock for all but some lamps', (count) => {
    const { first, crowd, haunted, offline, stock } = makePlan(count);
    const orders = [first, ...crowd, ...(haunted ? [haunted] : []), ...offline];
    expect(orders).toHaveLength(count);
    for (const sku of new Set(orders.map((order) => order.sku))) {
      const demand = orders.filter((order) => order.sku === sku).reduce((sum, { quantity }) => sum + quantity, 0);
      if (sku === 'lamp') expect(stock.get(sku)).toBeLessThan(demand);
      else expect(stock.get(sku)).toBeGreaterThan(demand);
    }
  });
});

describe("the demo's arguments", () => {
  it('understands both spellings', () => {
    const expected = { orders: 7, json: true, keep: false, broker: 'memory', database: undefined };
    expect(parseArguments(['--orders', '7', '--json', '--broker=memory'])).toEqual(expected);
    expect(parseArguments(['--keep'])).toMatchObject({ keep: true, json: false });
    expect(parseArguments(['--help'])).toBeUndefined();
  });

  it.each([['--orders', '1e3'], ['--orders', '100001'], ['--orders', '-1'], ['7']])('refuses %j', (...args) => {
    expect(() => parseArguments(args)).toThrow(UsageError);
  });
});
